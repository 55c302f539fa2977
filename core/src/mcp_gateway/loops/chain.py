"""The chain of gateways that stand one behind another."""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from mcp_gateway.plugin import CHAIN_VARIABLE

HEADER = "mcp-gateway-chain"
"""The header of a handshake that brings the chain over HTTP."""

META_KEY = "mcp-orchestration-gateway/chain"
"""The key of `_meta` that brings the chain with a handshake, and says in its answer what is wrong with it."""

MAX_GATEWAYS = 8
"""How many gateways may stand one behind another."""

LOOP, DEPTH = "loop", "depth"
"""The reasons for which a gateway has no servers for a chain."""

_MAX_TEXT = 1024
_HOP = re.compile(r"([0-9a-f]{16})\.([0-9a-f]{16})")
_MACHINE_ID = Path("/etc/machine-id")


class Hop(NamedTuple):
    """One gateway in a chain.

    `instance` is random for each process; `file` is a hash of where its file of servers is, which a gateway that was
    started again has, too.
    """

    instance: str
    file: str

    def __str__(self) -> str:
        """Return it as it stands in a chain."""
        return f"{self.instance}.{self.file}"


@dataclass(frozen=True, slots=True)
class Chain:
    """The gateways in front of another one, the first one first.

    It is what others claim: nothing but loops is concluded from it.
    """

    hops: tuple[Hop, ...] = ()

    @classmethod
    def parse(cls, text: object) -> Chain:
        """Parse a chain; one that is no chain is empty."""
        if not isinstance(text, str) or not text or len(text) > _MAX_TEXT:
            return cls()
        found = [_HOP.fullmatch(part.strip()) for part in text.split(",")]
        return cls(tuple(Hop(*match.groups()) for match in found if match)) if all(found) else cls()

    def __str__(self) -> str:
        """Return it as text for variable, header and `_meta`."""
        return ",".join(map(str, self.hops))

    def find(self, hop: Hop) -> Hop | None:
        """Return the hop of the same gateway or file."""
        return next((other for other in self.hops if other.instance == hop.instance or other.file == hop.file), None)


@dataclass(frozen=True, slots=True)
class Position:
    """The position of this gateway behind others.

    `before` is the chain that its environment brought.
    """

    hop: Hop
    before: Chain = Chain()

    @classmethod
    def of(cls, file: Path, environ: Mapping[str, str]) -> Position:
        """Return the position of a new gateway with this file of servers."""
        return cls(Hop(uuid.uuid4().hex[:16], _hash_place(file)), Chain.parse(environ.get(CHAIN_VARIABLE)))

    @property
    def chain(self) -> Chain:
        """The chain that servers behind this gateway get."""
        return Chain((*self.before.hops, self.hop))

    def find_fault(self, before: Chain) -> str:
        """Return the fault of a chain in front of this gateway."""
        if before.find(self.hop) is not None:
            return LOOP
        return DEPTH if len(before.hops) >= MAX_GATEWAYS else ""


def describe_position(position: Position) -> str:
    """Return why a gateway has no servers there; or nothing."""
    match position.find_fault(position.before):
        case "loop":
            return (
                "a gateway with the same file of servers has started this one, directly or through another program, so "
                f"this one has no servers; if that is no loop, unset {CHAIN_VARIABLE}"
            )
        case "depth":
            return f"{MAX_GATEWAYS} gateways stand in front of this one already, so this one has no servers"
    return ""


def chain_of(meta: object, headers: Mapping[str, str]) -> Chain:
    """Return the chain that a handshake brings in `_meta` or its headers."""
    brought = Chain.parse(meta.get(META_KEY)) if isinstance(meta, Mapping) else Chain()
    return brought if brought.hops else Chain.parse(headers.get(HEADER))


def answer_chain(position: Position, chain: Chain) -> dict[str, Any]:
    """Return the `_meta` of the answer to a handshake with a chain."""
    return {META_KEY: {"refused": position.find_fault(chain) or None}} if chain.hops else {}


def is_gateway(initialize_result: Mapping[str, Any]) -> bool:
    """Whether a handshake was answered by a gateway like this."""
    return _answer_of(initialize_result) is not None


def refusal_of(initialize_result: Mapping[str, Any]) -> str:
    """Return why a gateway refuses the chain, if it does."""
    refused = (_answer_of(initialize_result) or {}).get("refused")
    return refused if refused in (LOOP, DEPTH) else ""


def _answer_of(initialize_result: Mapping[str, Any]) -> dict[str, Any] | None:
    meta = initialize_result.get("_meta")
    answer = meta.get(META_KEY) if isinstance(meta, dict) else None
    return answer if isinstance(answer, dict) else None


def _hash_place(file: Path) -> str:
    """Hash the place of a file on this machine."""
    machine = ""
    with suppress(OSError, UnicodeDecodeError):
        machine = _MACHINE_ID.read_text().strip()
    place = "\0".join((socket.gethostname(), machine, str(file.resolve())))
    return sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]
