"""Results of the built-in tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.listing import Definition, Listing
from mcp_gateway.plugin import GatewayError, Hit, Query
from mcp_gateway.protocol.encoded_json import read
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.search.indexes import SearchResult
from mcp_gateway.server.builtin_tools import NEXT
from mcp_gateway.sessions.admission import Overloaded

OVERLOADED = -31029
"""The JSON-RPC error code of an overload, outside the range that JSON-RPC reserves."""

Json = dict[str, Any]


def search_answer(query: Query, found: SearchResult) -> Json:
    """Return the result of `tool_search`."""
    known = [(hit, definition) for hit in found.hits.hits if (definition := found.catalog.find_shown(hit.id))]
    answer = {
        "success": True,
        **({"next": NEXT} if known else {}),
        "tool_references": [{"type": "tool_reference", "tool_name": hit.id} for hit, _ in known],
        "tools": [
            {**_describe_tool(hit.id, definition), **(_explain_hit(hit) if query.explain else {})}
            for hit, definition in known
        ],
        "total_matches": found.hits.total,
        "query": query.text,
        "search_type": found.ranker,
        "hints": list(found.hits.hints),
        "servers": list(found.notes),
    }
    return _result(answer if found.hits.label is None else {**answer, "label": found.hits.label})


def _explain_hit(hit: Hit) -> Json:
    """Return the score of a hit and its matching terms."""
    matches = [
        {"term": match.term, "fields": list(match.fields), "score": round(match.score, 3)} for match in hit.matches
    ]
    return {"score": round(hit.score, 3), "matches": matches}


def discover_answer(tools: Listing) -> Json:
    """Return the result of `discover_tools`."""
    described = [_describe_tool(name, tool) for name, tool in tools.shown(TOOLS)]
    return _result(
        {
            "success": True,
            **({"next": NEXT} if described else {}),
            "server_name": tools.server,
            "tool_count": len(described),
            "tools": described,
        }
    )


def trace_answer(found: Mapping[str, Any]) -> Json:
    """Return the result of a `tool_search` that was a gateway's trace."""
    return _result({"success": True, **found})


def error_result(error: GatewayError, code: str | None = None) -> Json:
    """Return an error result that a model can act on."""
    return {
        **_result({"success": False, "error_code": code or error.code, "error": str(error)}),
        "isError": True,
    }


def overload_error(error: Overloaded) -> MCPError:
    """Return the JSON-RPC error of an overload.

    The client may send the same request again.
    """
    data = {"error_code": error.code, "retryable": True, "retryAfter": error.retry_after}
    return MCPError(OVERLOADED, str(error), data)


def _describe_tool(name: str, definition: Definition) -> Json:
    definition = read(definition)
    return {
        "type": "tool_reference",
        "tool_name": name,
        "description": definition.get("description", ""),
        "input_schema": definition["inputSchema"],
    }


def _result(value: Mapping[str, Any]) -> Json:
    return {"content": [{"type": "text", "text": json.dumps(value, ensure_ascii=False)}], "structuredContent": value}
