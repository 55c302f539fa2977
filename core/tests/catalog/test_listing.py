"""What one server offers: its tools by name, and what else is known of them."""

from __future__ import annotations

from mcp_gateway.catalog.listing import Listing

from ..support.fake_servers import tool


def test_of_two_tools_with_one_name_the_last_counts():
    tools = Listing("a", (tool("x", "first"), tool("x", "second")))
    assert [document.description for document in tools.documents()] == ["second"]


def test_arguments_that_a_modern_server_wants_as_headers_are_known_by_tool():
    schema = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    tools = Listing("a", (tool("x") | {"inputSchema": schema}, tool("y"), {"name": "z"}))
    assert tools.header_arguments == {"x": {("region",): "Region"}}
