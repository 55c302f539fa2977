"""A client's request to a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import mcp_types as types
from msgspec import Raw, Struct
from msgspec.structs import replace

from mcp_gateway.protocol.capabilities import capabilities_json
from mcp_gateway.protocol.eras import MODERN_VERSION
from mcp_gateway.protocol.headers import routing_headers
from mcp_gateway.protocol.implementation import IMPLEMENTATION
from mcp_gateway.protocol.raw_json import (
    NO_MEMBERS,
    Fields,
    decode,
    decode_member,
    encode_object,
    encode_raw,
)
from mcp_gateway.sessions.exchange import Exchange

ANSWERS = ("inputResponses", "requestState")

_OUR_ENVELOPE: Fields = {
    types.PROTOCOL_VERSION_META_KEY: Raw(MODERN_VERSION),
    types.CLIENT_INFO_META_KEY: encode_raw(IMPLEMENTATION),
}


class Request(Struct, frozen=True):
    """A request to a server; implements `Sendable`.

    `params` are as the client sent them, without `_meta`; `meta` is that of `_meta` which is passed on. `mirrored` maps
    paths of arguments to the headers that repeat them. A `repeatable` request may be sent again if it is unknown
    whether it was executed. `headers` are those for a modern server, if they are known already.
    """

    method: str
    params: Fields
    meta: Fields = NO_MEMBERS
    mirrored: Mapping[tuple[str, ...], str] | None = None
    repeatable: bool = False
    headers: Mapping[str, str] | None = None

    @property
    def bare(self) -> Request:
        """The same request without responses to input requests."""
        if self.params.keys().isdisjoint(ANSWERS):
            return self
        return replace(self, params={key: value for key, value in self.params.items() if key not in ANSWERS})

    @property
    def digest(self) -> str:
        """A hash of method and parameters, without responses to input requests.

        A request and its repetition with responses have the same digest.
        """
        asked = {key: decode(value) for key, value in self.bare.params.items()}
        return sha256(json.dumps([self.method, asked], sort_keys=True).encode()).hexdigest()

    def member(self, name: str) -> Any:
        """Return a member of the params, decoded.

        None if it is not there.

        Raises:
            ValueError: it cannot be read.

        """
        return decode_member(self.params, name)

    def again(self, answered: Fields) -> Request:
        """Return the same request with responses to input requests."""
        return replace(self, params={**self.bare.params, **answered})

    def encode_params(self, exchange: Exchange, *, modern: bool) -> bytes:
        """Return the params as JSON, with the `_meta` for this exchange.

        The server's era decides what is added to it.
        """
        channel = exchange.channel
        if not modern and not channel.wants_progress and not self.meta:
            return encode_object(self.params)
        meta: dict[str, Raw] = dict(self.meta)
        if channel.wants_progress:
            meta["progressToken"] = Raw(b"%d" % exchange.request_id)
        if modern:
            meta |= _OUR_ENVELOPE
            meta[types.CLIENT_CAPABILITIES_META_KEY] = Raw(capabilities_json(exchange.capabilities))
            if channel.log_level is not None:
                meta[types.LOG_LEVEL_META_KEY] = encode_raw(channel.log_level)
        return encode_object({**self.params, "_meta": meta})

    def modern_headers(self) -> Mapping[str, str]:
        """Return the headers that a modern server wants to see over HTTP."""
        if self.headers is not None and not self.mirrored:
            return self.headers
        # The arguments are decoded only if some of them are repeated: they may have numbers that Python cannot read.
        read = {name: decode(raw) for name, raw in self.params.items() if name != "arguments" or self.mirrored}
        return routing_headers(self.method, read, self.mirrored)
