import json

import pytest
from mcp_gateway_transport_stdio.era_lines import EraLines

META = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
DISCOVER = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": META})
CANCELLED = json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
INITIALIZE = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": {}})
PING = json.dumps({"jsonrpc": "2.0", "id": 3, "method": "ping"})
SEARCH = json.dumps({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "initialize", **META}})
ABOUT_INITIALIZE = json.dumps({"jsonrpc": "2.0", "method": "initialize"})


async def eras_of(lines):
    """Return the lines of each era."""

    async def read():
        for line in lines:
            yield line

    era_lines, eras = EraLines(read()), []
    while not era_lines.is_ended:
        eras.append([line async for line in era_lines])
    return eras


@pytest.mark.parametrize(
    "eras",
    [
        [[]],
        [[INITIALIZE, PING]],
        [[PING, INITIALIZE]],
        [[DISCOVER, SEARCH]],
        [[DISCOVER, CANCELLED], [INITIALIZE, PING]],
        [[CANCELLED, "no JSON", "[" * 200_000, DISCOVER], [INITIALIZE, PING, INITIALIZE]],
        [[DISCOVER, ABOUT_INITIALIZE, SEARCH, "initialize"], [INITIALIZE]],
    ],
)
async def test_lines_are_cut_where_a_client_falls_back_to_the_handshake(eras):
    assert await eras_of([line for lines in eras for line in lines]) == eras
