"""The JSON Schema of the server file.

It depends on the installed plugins.
"""

from __future__ import annotations

from typing import Any

from mcp_gateway.config.server_file import ServerEntry
from mcp_gateway.plugin import Options, Provider
from mcp_gateway.plugin_host.providers import ProviderRegistry, Providers

Json = dict[str, Any]


def file_schema(providers: Providers) -> Json:
    """Return the JSON Schema of the server file.

    It covers the native format and that of clients.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Servers behind the MCP Orchestration Gateway",
        "type": "object",
        "properties": {
            "$schema": {"type": "string"},
            "version": {"type": "string"},
            "servers": {
                "anyOf": [
                    {"type": "array", "items": {"$ref": "#/$defs/server"}},
                    {"type": "object", "additionalProperties": {"$ref": "#/$defs/clientServer"}},
                ]
            },
            "mcpServers": {"type": "object", "additionalProperties": {"$ref": "#/$defs/clientServer"}},
        },
        "anyOf": [{"required": ["servers"]}, {"required": ["mcpServers"]}],
        "$defs": {
            "server": _server(providers),
            "clientServer": {"type": "object"},
            **_definitions(providers),
        },
    }


def _server(providers: Providers) -> Json:
    core = ServerEntry.model_json_schema()
    properties: Json = {}
    for provider in _entry_providers(providers):
        properties |= _schema(provider.options)["properties"]
    properties |= core["properties"]
    properties["transport"] = _with_examples(core["properties"]["transport"], providers.client_transports)
    properties["auth_type"] = _with_examples(core["properties"]["auth_type"], providers.auth_strategies, "none")
    return {
        "type": "object",
        "properties": properties,
        "required": ["name"],
        "additionalProperties": False,
        "allOf": [
            *_requirements("transport", providers.client_transports),
            *_requirements("auth_type", providers.auth_strategies),
        ],
    }


def _entry_providers(providers: Providers) -> list[Provider[Any, Any]]:
    return [*providers.client_transports.providers.values(), *providers.auth_strategies.providers.values()]


def _with_examples(schema: Json, shelf: ProviderRegistry[Any], *more: str) -> Json:
    return {**schema, "examples": [*more, *sorted(shelf.providers)]}


def _requirements(key: str, shelf: ProviderRegistry[Any]) -> list[Json]:
    """Return a conditional schema of required keys for each plugin."""
    return [
        {"if": {"properties": {key: {"const": name}}, "required": [key]}, "then": {"required": required}}
        for name, provider in sorted(shelf.providers.items())
        if (required := _schema(provider.options).get("required"))
    ]


def _definitions(providers: Providers) -> Json:
    found: Json = {**ServerEntry.model_json_schema().get("$defs", {})}
    for provider in _entry_providers(providers):
        found |= _schema(provider.options).get("$defs", {})
    return found


def _schema(options: type[Options]) -> Json:
    schema = options.model_json_schema()
    properties = {key: value for key, value in schema.get("properties", {}).items() if key not in options.variables()}
    return {**schema, "properties": properties}
