"""Definitions of the three built-in tools.

They are all that a model sees before its first search.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.search.indexes import MAX_RESULTS
from mcp_gateway.search.queries import MAX_PATTERN, MAX_QUERY
from mcp_gateway.text.name_lists import fit_names, utf16_length

Json = dict[str, Any]

MAX_DESCRIPTION = 1024
"""How many characters a tool's description may have: with more, OpenAI refuses the whole request."""

META: Json = {"anthropic/alwaysLoad": True}
"""Clients that load tools only when they are searched for load these at once: nothing is found without them."""

NEXT = "Call one of these tools with call_remote_tool: its tool_name, and arguments that fit its input_schema."

_TEXT = WithJsonSchema({"type": "string"})


def _parse_object(value: object) -> object:
    """Parse an object that a model sent as a JSON string."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            # The subsequent validation explains what is wrong.
            return value
    return value


def _parse_names(value: object) -> object:
    """Parse names separated by commas, or a JSON array."""
    if isinstance(value, str):
        listed = _parse_object(value)
        return listed if isinstance(listed, list) else [name.strip() for name in value.split(",") if name.strip()]
    return value


def _parse_optional(value: object) -> object:
    """Take an empty text for missing.

    smolagents has a model give every argument, optional ones too.
    """
    return None if isinstance(value, str) and not value.strip() else value


class Arguments(BaseModel):
    """Arguments of a built-in tool; unknown ones are an error.

    An error shows a model its mistake; ignoring unknown arguments would hide it. Null is taken for missing.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        return {name: value for name, value in given.items() if value is not None}


class SearchArguments(Arguments):
    """Arguments of `tool_search`."""

    query: str = Field(
        description="What you want to do, in a few plain words; or a regular expression if use_regex is true. "
        f"Of words {MAX_QUERY:,} characters are searched, a pattern may have {MAX_PATTERN}."
    )
    max_results: int = Field(3, description="How many tools to return, 1 to {most}.")
    use_regex: bool = Field(
        False,  # noqa: FBT003  # a field's default
        description="Treat query as a regular expression over names, descriptions and arguments.",
    )
    ranker: Annotated[str | None, BeforeValidator(_parse_optional), _TEXT] = Field(
        None, description="A ranker by name, instead of the default one. Rarely needed."
    )
    server: Annotated[list[str], BeforeValidator(_parse_names), _TEXT] = Field(
        [],
        description="Search the tools of this server only, as named in this gateway's instructions; several are "
        "separated by commas.",
    )
    explain: bool = Field(False, description="Say for each tool why it was found. Rarely needed.")  # noqa: FBT003


class DiscoverArguments(Arguments):
    """Arguments of `discover_tools`."""

    server_name: str = Field(description="The server, as named in this gateway's instructions.")


class CallArguments(Arguments):
    """Arguments of `call_remote_tool`."""

    tool_name: str = Field(description="The tool's full name, server__tool, as tool_search returned it.")
    arguments: Annotated[
        Json | None, BeforeValidator(_parse_object), WithJsonSchema({"type": "object", "additionalProperties": True})
    ] = Field(None, description="The tool's arguments, as its input_schema describes them.")
    auth_header: Annotated[str | None, BeforeValidator(_parse_optional), _TEXT] = Field(
        None, description="An Authorization header for this one call, instead of the configured credentials."
    )


_REFERENCE: Json = {
    "type": "object",
    "properties": {"type": {"type": "string", "const": "tool_reference"}, "tool_name": {"type": "string"}},
    "required": ["type", "tool_name"],
}
_TOOL: Json = {
    "type": "object",
    "properties": {
        **_REFERENCE["properties"],
        "description": {"type": "string"},
        "input_schema": {"type": "object"},
        "score": {"type": "number"},
        "matches": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["type", "tool_name", "description", "input_schema"],
}
_FAILURE: Json = {"success": {"type": "boolean"}, "error_code": {"type": "string"}, "error": {"type": "string"}}
_NEXT: Json = {"type": "string", "description": "How to call what was found."}
_SEARCH_OUTPUT: Json = {
    "type": "object",
    "properties": {
        **_FAILURE,
        "next": _NEXT,
        "tool_references": {"type": "array", "items": _REFERENCE},
        "tools": {"type": "array", "items": _TOOL},
        "total_matches": {"type": "integer", "description": "How many tools match, not how many are returned."},
        "query": {"type": "string"},
        "search_type": {"type": "string"},
        "label": {
            "type": "string",
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
        "next": _NEXT,
        "server_name": {"type": "string"},
        "tool_count": {"type": "integer"},
        "tools": {"type": "array", "items": _TOOL},
    },
    "required": ["success"],
}


def builtin_tools(specs: Iterable[ServerSpec], max_results: int = MAX_RESULTS) -> list[Json]:
    """Return the definitions of the built-in tools, naming the servers."""
    return [
        {
            "name": "tool_search",
            "title": "Search tools",
            "description": _describe_search(specs),
            "inputSchema": _schema(SearchArguments, most=max_results),
            "outputSchema": _SEARCH_OUTPUT,
            "annotations": {"title": "Search tools", "readOnlyHint": True, "openWorldHint": False},
            "_meta": META,
        },
        {
            "name": "discover_tools",
            "title": "List a server's tools",
            "description": "Ask one server for its tools again and return all of them with their schemas. The answer "
            "can be long: prefer tool_search, unless you want all of them, a server is said to be not ready, or its "
            "tools have changed.",
            "inputSchema": _schema(DiscoverArguments),
            "outputSchema": _DISCOVER_OUTPUT,
            "annotations": {
                "title": "List a server's tools",
                "readOnlyHint": True,
                "idempotentHint": True,
                "openWorldHint": True,
            },
            "_meta": META,
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
            "_meta": META,
        },
    ]


_SEARCH = (
    "Find tools by what they do. {} Their tools are not listed here: whenever a task may need one of these servers, "
    "search first, in a few plain words such as 'create github issue'. The answer holds each tool's full name, "
    "description and input_schema. Then call the tool with call_remote_tool, not by its own name, which clients refuse "
    "unless it is listed, too."
)


def _describe_search(specs: Iterable[ServerSpec]) -> str:
    named = [(spec.name, spec.description) for spec in specs]
    if not named:
        return _SEARCH.format("No servers are configured yet.")
    room = MAX_DESCRIPTION - utf16_length(_SEARCH.format("Servers inside: ."))
    return _SEARCH.format(f"Servers inside: {fit_names(named, room, _render, ', ')}.")


def _render(name: str, about: str) -> str:
    return f"{name} ({about})" if about else name


def _schema(model: type[Arguments], **filled: object) -> Json:
    """Return the plain JSON Schema of arguments: one `type` each, no null.

    Placeholders in descriptions are replaced by values of `filled`. Clients turn schemas into those of a model's maker,
    of which each refuses something else.
    """
    schema = model.model_json_schema()
    properties = {name: _plain(value) for name, value in schema["properties"].items()}
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


def _plain(schema: Json) -> Json:
    """Leave out titles, and defaults that mean missing."""
    return {
        key: value for key, value in schema.items() if key != "title" and (key != "default" or value not in (None, []))
    }
