"""Definitions of the three built-in tools.

They are all that a model sees before its first search.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.search.indexes import MAX_RESULTS
from mcp_gateway.server.server_info import MAX_DESCRIBED, truncate_list

Json = dict[str, Any]

MAX_QUERY = 200


def _parse_object(value: object) -> object:
    """Parse an object that a model sent as a JSON string."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            # The subsequent validation explains what is wrong.
            return value
    return value


class Arguments(BaseModel):
    """Arguments of a built-in tool; unknown ones are an error.

    An error shows a model its mistake; ignoring unknown arguments would hide it.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class SearchArguments(Arguments):
    """Arguments of `tool_search`."""

    query: str = Field(
        description="What you want to do, in a few plain words; or a regular expression if use_regex is true. "
        f"At most {MAX_QUERY} characters."
    )
    max_results: int = Field(3, description="How many tools to return, 1 to {most}.")
    use_regex: bool = Field(
        False,  # noqa: FBT003  # a field's default
        description="Treat query as a regular expression over names, descriptions and arguments.",
    )
    ranker: str | None = Field(None, description="A ranker by name, instead of the default one. Rarely needed.")
    server: str | list[str] | None = Field(
        None, description="Search the tools of this server only, or of these, as named in this gateway's instructions."
    )
    explain: bool = Field(False, description="Say for each tool why it was found. Rarely needed.")  # noqa: FBT003

    @property
    def servers(self) -> list[str]:
        """The names of the servers to search; empty for all."""
        return [self.server] if isinstance(self.server, str) else self.server or []


class DiscoverArguments(Arguments):
    """Arguments of `discover_tools`."""

    server_name: str = Field(description="The server, as named in this gateway's instructions.")


class CallArguments(Arguments):
    """Arguments of `call_remote_tool`."""

    tool_name: str = Field(description="The tool's full name, server__tool, as tool_search returned it.")
    arguments: Annotated[Json | None, BeforeValidator(_parse_object)] = Field(
        None, description="The tool's arguments, as its input_schema describes them."
    )
    auth_header: str | None = Field(
        None, description="An Authorization header for this one call, instead of the configured credentials."
    )


_REFERENCE: Json = {
    "type": "object",
    "properties": {"type": {"const": "tool_reference"}, "tool_name": {"type": "string"}},
    "required": ["type", "tool_name"],
}
_TOOL: Json = {
    "type": "object",
    "properties": {
        **_REFERENCE["properties"],
        "description": {"type": "string"},
        "input_schema": {"type": ["object", "boolean"]},
        "score": {"type": "number"},
        "matches": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["type", "tool_name", "description", "input_schema"],
}
_FAILURE: Json = {"success": {"type": "boolean"}, "error_code": {"type": "string"}, "error": {"type": "string"}}
_SEARCH_OUTPUT: Json = {
    "type": "object",
    "properties": {
        **_FAILURE,
        "tool_references": {"type": "array", "items": _REFERENCE},
        "tools": {"type": "array", "items": _TOOL},
        "total_matches": {"type": "integer", "description": "How many tools match, not how many are returned."},
        "query": {"type": "string"},
        "search_type": {"type": "string"},
        "label": {
            "enum": ["strong", "weak", "none"],
            "description": "Whether the first tool has most of what the query says, some of it, or there is none.",
        },
        "hints": {"type": "array", "items": {"type": "string"}, "description": "What to know of this answer."},
        "servers": {
            "type": "array",
            "items": {"type": "string"},
            "description": "A line for each server whose tools may be missing, and why.",
        },
    },
    "required": ["success"],
}
_DISCOVER_OUTPUT: Json = {
    "type": "object",
    "properties": {
        **_FAILURE,
        "server_name": {"type": "string"},
        "tool_count": {"type": "integer"},
        "tools": {"type": "array", "items": _TOOL},
    },
    "required": ["success"],
}


def builtin_tools(specs: Iterable[ServerSpec], max_results: int = MAX_RESULTS) -> list[Json]:
    """Return the definitions of the built-in tools, naming the servers."""
    inside = _inside(specs)
    return [
        {
            "name": "tool_search",
            "title": "Search tools",
            "description": f"Find tools by what they do. {inside} Their tools are not listed here: whenever a task may "
            "need one of these servers, search first, in a few plain words such as 'create github issue'. The answer "
            "holds each tool's full name, description and input_schema. Then call the tool with call_remote_tool.",
            "inputSchema": _schema(SearchArguments, most=max_results),
            "outputSchema": _SEARCH_OUTPUT,
            "annotations": {"title": "Search tools", "readOnlyHint": True, "openWorldHint": False},
        },
        {
            "name": "discover_tools",
            "title": "List a server's tools",
            "description": "Ask one server for its tools again and return all of them with their schemas. The answer "
            "can be long: prefer tool_search, unless a server is said to be not ready, or its tools have changed.",
            "inputSchema": _schema(DiscoverArguments),
            "outputSchema": _DISCOVER_OUTPUT,
            "annotations": {
                "title": "List a server's tools",
                "readOnlyHint": True,
                "idempotentHint": True,
                "openWorldHint": True,
            },
        },
        {
            "name": "call_remote_tool",
            "title": "Call a tool",
            "description": "Call a tool that tool_search has found, by its full name server__tool, with arguments that "
            "fit its input_schema. The result is the tool's own.",
            "inputSchema": _schema(CallArguments),
            "annotations": {
                "title": "Call a tool",
                "readOnlyHint": False,
                "destructiveHint": True,
                "openWorldHint": True,
            },
        },
    ]


def _inside(specs: Iterable[ServerSpec]) -> str:
    named = [f"{spec.name} ({spec.description})" if spec.description else spec.name for spec in specs]
    if not named:
        return "No servers are configured yet."
    return f"Servers inside: {', '.join(truncate_list(named, MAX_DESCRIBED))}."


def _schema(model: type[Arguments], **filled: object) -> Json:
    """Return the JSON Schema of arguments, without titles.

    Placeholders in descriptions are replaced by values of `filled`.
    """
    schema = model.model_json_schema()
    properties = {name: _without_title(value) for name, value in schema["properties"].items()}
    if filled:
        properties = {
            name: {**value, "description": value["description"].format(**filled)} for name, value in properties.items()
        }
    return {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def _without_title(schema: Json) -> Json:
    return {key: value for key, value in schema.items() if key != "title"}
