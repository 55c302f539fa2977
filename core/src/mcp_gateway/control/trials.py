"""`check --connect`: a connection and a listing for every server."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import anyio.to_thread
from mcp_types import SERVER_INFO_META_KEY
from mcp_types.version import LATEST_MODERN_VERSION

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.reservations import Reservations, describe_idle_globs, describe_refusal
from mcp_gateway.client.errors import error_of_exception, leaf_of
from mcp_gateway.config.server_file import ServerFile
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.config.time_limits import TimeLimits
from mcp_gateway.control.context import ControlContext
from mcp_gateway.discovery.concurrency import ConcurrencyLimit
from mcp_gateway.discovery.loop_trace import LoopTracer
from mcp_gateway.loops.chain import Position
from mcp_gateway.loops.errors import GatewayLoop
from mcp_gateway.pinning.scanner import scan_rest
from mcp_gateway.plugin import ANONYMOUS, GatewayError, LoginRequired, ServerTimeout
from mcp_gateway.protocol.encoded_json import read
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.protocol.tool_names import find_shortened_names
from mcp_gateway.sessions.admission import AdmissionControl
from mcp_gateway.sessions.credentials import CredentialResolver
from mcp_gateway.sessions.pool import open_pool
from mcp_gateway.sessions.server_plugins import open_server_plugins

_MOST = 4
"""A server may take so many times its `list_timeout` for all of its lists, once it has started."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Outcome of trying a server: its implementation and tools, or an error.

    It also has the protocol version, and whether the server leads back to this gateway. `characters` is how long the
    definitions of its tools are, as a client gives them to the model. `error_code` is the code of the error's class,
    `shortened` the names that are cut.

    `refused` describes, one per line, the definitions under names of other owners, `left_out` those that clients would
    refuse, `idle_globs` the globs that match no tool, and `missing` what is missing in the lists. `suspicious` has the
    violations of scanner rules in anything but tools, whose violations are in their pins.
    """

    server: str
    ok: bool
    seconds: float
    says: str = ""
    protocol: str = ""
    tools: int = 0
    characters: int = 0
    reason: str = ""
    is_loop: bool = False
    error_code: str = ""
    refused: tuple[str, ...] = ()
    forbidden: int = 0
    idle_globs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    shortened: tuple[str, ...] = ()
    suspicious: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The outcome in one line for people."""
        if self.is_loop:
            return f"{self.server}: left out after {self.seconds:.1f} s"
        if not self.ok:
            return f"{self.server}: failed after {self.seconds:.1f} s"
        tools = f"{self.tools} tool{'' if self.tools == 1 else 's'}"
        tools += f" ({self.forbidden} more forbidden)" if self.forbidden else ""
        return f"{self.server}: {self.says or 'no name'}, {self.protocol}, {tools}, {self.seconds:.1f} s"


OnTriedFn = Callable[["Trial"], None]
"""Is called with each trial as it ends."""


def try_all(context: ControlContext, on_tried: OnTriedFn = lambda _: None) -> list[Trial]:
    """Try every enabled server; return the trials in file order."""
    return try_servers(context, context.servers, on_tried)


def try_servers(context: ControlContext, file: ServerFile, on_tried: OnTriedFn = lambda _: None) -> list[Trial]:
    """Try every enabled server of a file, in its order.

    A few servers are tried at a time.
    """
    context.configure_quiet_logging()
    return anyio.run(_try_all, file.specs, Reservations.of(file.specs, file.disabled), context.position, on_tried)


async def _try_all(
    specs: tuple[ServerSpec, ...], reservations: Reservations, position: Position, on_tried: OnTriedFn
) -> list[Trial]:
    trials: dict[str, Trial] = {}

    async def attempt(spec: ServerSpec) -> None:
        async with pace.slot():
            trials[spec.name] = await try_server(spec, reservations, position)
        on_tried(trials[spec.name])

    async with anyio.create_task_group() as counting:
        pace = ConcurrencyLimit(counting)
        async with anyio.create_task_group() as tasks:
            for spec in specs:
                tasks.start_soon(attempt, spec)
    return [trials[spec.name] for spec in specs]


async def try_server(spec: ServerSpec, reservations: Reservations, position: Position) -> Trial:
    """Try one server, in a session of its own."""
    began = anyio.current_time()
    try:
        with anyio.fail_after(find_longest_seconds(spec.time_limits)):
            listing, seconds = await _list_timed(replace(spec, max_retries=0), position)
        listing = reservations.admit(listing)
    except (GatewayError, TimeoutError, ExceptionGroup) as error:
        leaf, seconds = leaf_of(error), anyio.current_time() - began
        return Trial(
            spec.name,
            ok=False,
            seconds=seconds,
            reason=_reason(spec, leaf),
            is_loop=isinstance(leaf, GatewayLoop),
            error_code=leaf.code if isinstance(leaf, GatewayError) else ServerTimeout.code,
        )
    version = LATEST_MODERN_VERSION if listing.modern else _plain(listing.initialize_result.get("protocolVersion"))
    return Trial(
        spec.name,
        ok=True,
        seconds=seconds,
        says=_says(listing.initialize_result),
        protocol=version,
        tools=sum(1 for _ in listing.shown(TOOLS)),
        characters=sum(count_characters(read(tool)) for _, tool in listing.shown(TOOLS)),
        left_out=tuple(f"server {spec.name!r}: its {left_out.what}" for left_out in listing.left_out),
        refused=tuple(describe_refusal(spec.name, refusal) for refusal in listing.refused),
        forbidden=len(listing.forbidden),
        idle_globs=tuple(describe_idle_globs(listing)),
        missing=tuple(f"server {spec.name!r}: {omission}" for omission in listing.omissions),
        shortened=tuple(find_shortened_names(listing.prefix, listing.tool_names)),
        suspicious=await anyio.to_thread.run_sync(scan_rest, listing),
    )


def count_characters(tool: Mapping[str, Any]) -> int:
    """Count the characters of a tool as a model gets it."""
    shown = {key: tool[key] for key in ("name", "description", "inputSchema") if key in tool}
    return len(json.dumps(shown, ensure_ascii=False, separators=(",", ":")))


async def _list_timed(spec: ServerSpec, position: Position) -> tuple[Listing, float]:
    """List a server in a new session; return listing and duration.

    The duration is in seconds.
    """
    began = anyio.current_time()
    async with (
        open_server_plugins([spec]) as fitting,
        open_pool(
            fitting.client_transports, math.inf, AdmissionControl(), max_sessions=1, chain=str(position.chain)
        ) as pool,
    ):
        access = CredentialResolver(fitting.strategies, fitting.client_transports)
        loops = LoopTracer(position, pool, access, Registry.of((spec,), ()))
        listing = await access.with_credentials(spec, ANONYMOUS, lambda key: loops.list_server(spec, key, {}))
        return listing, anyio.current_time() - began


def find_longest_seconds(limits: TimeLimits) -> float:
    """Return for how long a server is tried."""
    return limits.start.seconds + _MOST * limits.list.seconds


def _reason(spec: ServerSpec, error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        limits = spec.time_limits
        return (
            f"server {spec.name!r} did not list all that it has within {find_longest_seconds(limits):g} s: "
            f"{limits.start} to start, and {_MOST} times {limits.list} for its lists; {limits.list.hint}"
        )
    if isinstance(error, LoginRequired):  # its link becomes invalid when this process ends
        return f"server {spec.name!r} needs a login: mcp-orchestration-gateway login {spec.name}"
    return str(error) if isinstance(error, GatewayError) else str(error_of_exception(spec.name, error))


def _says(initialize_result: Mapping[str, Any]) -> str:
    """Return a server's name for itself, and its version."""
    meta = initialize_result.get("_meta")
    info = initialize_result.get("serverInfo") or (meta.get(SERVER_INFO_META_KEY) if isinstance(meta, dict) else None)
    words = [_plain(info.get(key)) for key in ("name", "version")] if isinstance(info, dict) else []
    return " ".join(word for word in words if word)


def _plain(value: object) -> str:
    """Return a server's text, shortened to one line."""
    return value[:80] if isinstance(value, str) else ""
