"""A client's request to a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from mcp_gateway.client.connection import Connection
from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.plugin import Caller
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.sessions.retry import RetryPolicy

_ANSWERS = ("inputResponses", "requestState")


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a server.

    `mirrored` maps paths of arguments to the headers that repeat them. A `repeatable` request may be sent again if it
    is unknown whether it was executed. `repetition` has the attempts that were made before.
    """

    method: str
    params: Json
    mirrored: Mapping[tuple[str, ...], str] | None = None
    repeatable: bool = False
    repetition: RetryPolicy | None = None

    @property
    def bare(self) -> Request:
        """The same request without responses to input requests."""
        return replace(self, params={key: value for key, value in self.params.items() if key not in _ANSWERS})

    @property
    def digest(self) -> str:
        """A hash of method and parameters, without responses to input requests.

        A request and its repetition with responses have the same digest.
        """
        asked = {key: value for key, value in self.bare.params.items() if key != "_meta"}
        return sha256(json.dumps([self.method, asked], sort_keys=True).encode()).hexdigest()

    def again(self, answered: Json) -> Request:
        """Return the same request with responses to input requests."""
        return replace(self, params={**self.bare.params, **answered}, repetition=None)

    async def send(self, connection: Connection, exchange: InFlightRequest, caller: Caller) -> Json:
        """Send the request over a connection; return the server's result."""
        return await connection.request(
            self.method, self.params, exchange=exchange, capabilities=caller.capabilities, mirrored=self.mirrored
        )
