"""Checks of a request: its shape, headers and envelope.

They work without a model. What does not fit goes to the SDK's server, which says what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import mcp_types as types
from mcp.shared.inbound import NAME_BEARING_METHODS
from mcp_types.methods import validate_client_request
from mcp_types.version import LATEST_MODERN_VERSION

from mcp_gateway.plugin import Caller, Principal
from mcp_gateway.protocol.capabilities import DeclaredCapabilities
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.eras import MODERN_VERSION
from mcp_gateway.protocol.raw_json import Fields, decode_text
from mcp_gateway.server.clients import RawClient, modern_name
from mcp_gateway.server.pipeline.pipes import PIPE

_TEXT, _OBJECT = ord('"'), ord("{")
_LIST: Mapping[str, tuple[int, bool]] = {"cursor": (_TEXT, False)}

_MEMBERS: Mapping[str, Mapping[str, tuple[int, bool]]] = MappingProxyType(
    {
        "tools/list": _LIST,
        "prompts/list": _LIST,
        "resources/list": _LIST,
        "resources/templates/list": _LIST,
        "tools/call": {"name": (_TEXT, True), "arguments": (_OBJECT, False), "requestState": (_TEXT, False)},
        "prompts/get": {"name": (_TEXT, True), "arguments": (_OBJECT, False), "requestState": (_TEXT, False)},
        "resources/read": {"uri": (_TEXT, True), "requestState": (_TEXT, False)},
        "completion/complete": {"ref": (_OBJECT, True), "argument": (_OBJECT, True), "context": (_OBJECT, False)},
    }
)
"""By method, what begins a member of the params, and whether it must be there."""

# Each client program has one or two; whoever sends ever new ones must not fill the memory.
_MOST_ENVELOPES = 1000

_MOST_HEADERS = 256
"""How many are kept. They hold tokens and may be long, so that it must not be many more than are in use."""


def has_valid_shape(method: str, params: Fields) -> bool:
    """Whether the params of a request have the members its method needs."""
    for name, (begin, is_required) in _MEMBERS.get(method, {}).items():
        raw = params.get(name)
        if raw is None:
            if is_required:
                return False
        elif memoryview(raw)[0] != begin:
            return False
    return True


def name_of(method: str, params: Fields) -> str | None:
    """Return what a modern request repeats in its `Mcp-Name` header."""
    raw = params.get("taskId" if method.startswith("tasks/") else NAME_BEARING_METHODS.get(method, ""))
    return None if raw is None else decode_text(raw)


@dataclass(slots=True, eq=False)
class Headers:
    """The headers of a request; None by a pipe.

    `method` and `name` are what a modern request must have if it has these headers. There is no `method` if headers
    alone do not tell.
    """

    raw: Mapping[str, str] | None
    method: str | None = field(init=False, default=None)
    name: str | None = field(init=False, default=None)
    _caller: Caller | None = None
    _last: tuple[bytes, bytes, Principal | None, RawClient] | None = None

    def __post_init__(self) -> None:
        """Read those that repeat parts of the request."""
        raw = self.raw
        # Whether arguments are repeated as they should be in `Mcp-Param-*`, the SDK's server checks.
        if raw is None or raw.get("mcp-protocol-version") != LATEST_MODERN_VERSION or "mcp-param-" in ",".join(raw):
            return
        # Encoded names (=?base64?...?=) are unequal to those in requests, and left to the SDK.
        self.method, self.name = raw.get("mcp-method"), raw.get("mcp-name")

    def find_client(self, declared: bytes, info: bytes, principal: Principal | None) -> RawClient | None:
        """Return the modern client of the last request with these headers.

        None if the envelope was another one.
        """
        last = self._last
        if last is not None and last[0] == declared and last[1] == info and last[2] is principal:
            return last[3]
        return None

    def remember_client(self, declared: bytes, info: bytes, principal: Principal | None, client: RawClient) -> None:
        """Remember the client that an envelope has identified."""
        self._last = declared, info, principal, client

    def find_caller(self, client: RawClient, principal: Principal | None) -> Caller:
        """Return the caller of a request of this client with these headers."""
        last = self._caller
        if (
            last is not None
            and last.client == client.name
            and last.capabilities is client.capabilities
            and last.principal is principal
        ):
            return last
        self._caller = caller = Caller(
            headers=self.raw or {}, client=client.name, capabilities=client.capabilities, principal=principal
        )
        return caller


@dataclass(slots=True)
class KnownHeaders:
    """The headers that have come, by the identity of the object.

    Without headers it is the pipe, since each has a client of its own.
    """

    _known: dict[int | str, Headers] = field(default_factory=dict)

    def of(self, raw: Mapping[str, str] | None) -> Headers:
        """Return what is derived from headers."""
        # What is kept holds the object, so no other one has its identity.
        key = PIPE.get() if raw is None else id(raw)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_HEADERS:
                self._known.clear()
            self._known[key] = found = Headers(raw)
        return found


@dataclass(slots=True)
class Envelopes:
    """Cache of validated envelopes.

    Clients send the same ones again and again, so each is checked once.
    """

    _known: dict[tuple[bytes, bytes, str], RawClient] = field(default_factory=dict)

    def identify_client(self, meta: Fields, headers: Headers, principal: Principal | None) -> RawClient | None:
        """Return the client of a request's `_meta`, or None if invalid."""
        if bytes(meta[types.PROTOCOL_VERSION_META_KEY]) != MODERN_VERSION:
            return None
        declared = bytes(meta.get(types.CLIENT_CAPABILITIES_META_KEY, b"null"))
        info = bytes(meta.get(types.CLIENT_INFO_META_KEY, b"null"))
        if (client := headers.find_client(declared, info, principal)) is not None:
            return client
        key = (declared, info, modern_name(headers.raw, principal))
        client = self._known.get(key)
        if client is None and (capabilities := self._validate(declared, info)) is not None:
            if len(self._known) >= _MOST_ENVELOPES:
                self._known.clear()
            self._known[key] = client = RawClient(key[2], capabilities)
        if client is not None:
            headers.remember_client(declared, info, principal, client)
        return client

    def _validate(self, declared: bytes, info: bytes) -> DeclaredCapabilities | None:
        """Validate a new envelope with the SDK; None if invalid."""
        meta: Json = {types.PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION}
        try:
            meta[types.CLIENT_CAPABILITIES_META_KEY] = json.loads(declared)
            if info != b"null":
                meta[types.CLIENT_INFO_META_KEY] = json.loads(info)
            validate_client_request("tools/call", LATEST_MODERN_VERSION, {"name": "x", "_meta": meta})
        except (ValueError, RecursionError):
            return None
        return DeclaredCapabilities(meta[types.CLIENT_CAPABILITIES_META_KEY])
