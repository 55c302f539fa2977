"""A client's request: its envelope read, its payload as it came."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from mcp_gateway.plugin import Caller
from mcp_gateway.protocol.client_channel import ALONE, ClientChannel
from mcp_gateway.protocol.raw_json import Fields, decode_member


class ClientRequest(Struct, frozen=True):
    """A request on its way through the pipeline.

    `params` are the members of its params without `_meta`; `meta` are those of `_meta` that servers may see. `modern`
    is the era of the client, `channel` leads back to it while the request is in flight.
    """

    method: str
    params: Fields
    meta: Fields
    caller: Caller
    modern: bool
    channel: ClientChannel = ALONE

    def member(self, name: str) -> Any:
        """Return a member of the params, decoded.

        None if it is not there.

        Raises:
            ValueError: it cannot be read.

        """
        return decode_member(self.params, name)
