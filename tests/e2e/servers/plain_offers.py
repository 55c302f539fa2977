"""What the plain server offers: things with fields that no SDK knows, and a tool for each thing a server can do."""

from __future__ import annotations

from typing import Any

ODD_RESULT = {
    "vendorTop": {"z": 1, "a": [1.0, 2**70, None, True, "é\u2028"]},
    "content": [
        {"type": "text", "text": "hi", "xUnknown": {"deep": None}},
        {"type": "hologram", "data": 3},
    ],
    "structuredContent": {"null": None, "big": 2**70, "float": 1.0, "order": {"b": 1, "a": 2}},
    "isError": False,
    "_meta": {"vendor/x": None},
}
ODD_TOOL = {
    "name": "odd",
    "title": "Odd",
    "description": "Returns what no SDK knows",
    "inputSchema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"thing": {"$ref": "#/$defs/thing"}, "any": {}},
        "$defs": {"thing": {"type": ["string", "null"], "x-order": [2, 1]}},
        "unevaluatedProperties": False,
    },
    "outputSchema": {"type": "object", "additionalProperties": True},
    "annotations": {"readOnlyHint": True, "vendorHint": 1.0},
    "icons": [{"src": "data:image/png;base64,AAAA"}],
    "_meta": {"vendor/tool": 2**65},
    "vendorField": None,
}
ODD_PROMPT = {
    "name": "greet",
    "title": "Greet",
    "arguments": [{"name": "who", "required": True, "xHint": 1.0}],
    "icons": [{"src": "data:image/png;base64,AAAA"}],
    "vendorField": None,
    "_meta": {"vendor/prompt": 2**65},
}
ODD_MESSAGES = {
    "description": None,
    "messages": [{"role": "user", "content": {"type": "hologram", "data": [1.0, None]}, "xUnknown": {"b": 1, "a": 2}}],
    "vendorTop": 2**70,
}


def odd_resource(place: str) -> dict[str, Any]:
    return {"uri": f"plain://{place}/a", "name": "a", "size": 2**60, "vendorField": {"z": None, "a": 1.0}}


def odd_template(place: str) -> dict[str, Any]:
    return {"uriTemplate": f"plain://{place}/items/{{id}}", "name": "items", "vendorField": [None]}


def odd_contents(uri: str) -> dict[str, Any]:
    return {"contents": [{"uri": uri, "text": "a", "vendorField": 2**66, "xNull": None}], "vendorTop": {"f": 1.0}}


SIMPLE: dict[str, Any] = {"type": "object", "properties": {}}
FULL_TOOLS = [
    {"name": name, "description": description, "inputSchema": SIMPLE}
    for name, description in (
        ("ask", "Asks the client"),
        ("visit", "Wants the user to visit a URL"),
        ("tell", "Sends messages"),
        ("touch", "Announces that a resource was updated"),
        ("announce", "Adds something to a list and announces it"),
        ("job", "Works as a task"),
    )
]
INFO = {"name": "plain", "version": "1", "title": "A plain server"}
FULL_INFO = {**INFO, "websiteUrl": "https://plain.example/", "vendorField": {"z": None, "a": 1.0}}
BESIDES = {"experimental": {"com.example/x": {"deep": [None]}}, "extensions": {"com.example/y": {"deep": [1.0]}}}
ROOTS = [[("roots/list", {})]]
