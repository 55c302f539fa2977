"""What the conformance suite wants a server to offer, by the suite's names: definitions and plain answers, as JSON."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA="


def text(said: str) -> Json:
    """Return text content."""
    return {"type": "text", "text": said}


def embedded(uri: str, said: str, mime_type: str = "text/plain") -> Json:
    """Return a resource as content."""
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": said}}


IMAGE: Json = {"type": "image", "data": PNG, "mimeType": "image/png"}
ANSWERS: dict[str, Json] = {
    "test_simple_text": {"content": [text("This is a simple text response for testing.")]},
    "test_image_content": {"content": [IMAGE]},
    "test_audio_content": {"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]},
    "test_embedded_resource": {
        "content": [embedded("test://embedded-resource", "This is an embedded resource content.")],
    },
    "test_multiple_content_types": {
        "content": [
            text("Multiple content types test:"),
            IMAGE,
            embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
        ],
    },
    "test_error_handling": {
        "content": [text("This tool intentionally returns an error for testing")],
        "isError": True,
    },
    "json_schema_2020_12_tool": {"content": [text("The arguments fit")]},
    "test_mirrored_argument": {"content": [text("The header fits")]},
}
"""Tools whose answer is always the same."""

MESSAGES = ("Tool execution started", "Tool processing data", "Tool execution completed")
LOGGING_TOOLS = ("test_tool_with_logging", "test_logging_tool")
CHANGING_TOOLS = {"test_trigger_tool_change": "tools", "test_trigger_prompt_change": "prompts"}

NOTHING: Json = {"type": "object", "properties": {}, "additionalProperties": False}
SCHEMAS: dict[str, Json] = {
    "test_sampling": {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
    "test_elicitation": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
    "test_mirrored_argument": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        "required": ["region"],
    },
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            },
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
}
"""The input schemas of tools that take arguments."""


def tool(name: str, changes: int = 0) -> Json:
    """Define a tool; its description tells how often the list has changed."""
    described = name.removeprefix("test_").replace("_", " ").capitalize()
    counted = f" ({changes} changes so far)" if name in CHANGING_TOOLS else ""
    return {"name": name, "description": described + counted, "inputSchema": SCHEMAS.get(name, NOTHING)}


RESOURCES: dict[str, Json] = {
    "test://static-text": {"mimeType": "text/plain", "text": "This is the content of the static text resource."},
    "test://static-binary": {"mimeType": "image/png", "blob": PNG},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Watched resource content"},
}
TEMPLATE: Json = {
    "uriTemplate": "test://template/{id}/data",
    "name": "template",
    "description": "Data by id",
    "mimeType": "application/json",
}


def resource(uri: str) -> Json:
    """Define a resource."""
    name = uri.removeprefix("test://")
    described = name.replace("-", " ").capitalize()
    return {"uri": uri, "name": name, "description": described, "mimeType": RESOURCES[uri]["mimeType"]}


def contents(uri: str) -> Json | None:
    """Return what is in a resource, if there is such a resource."""
    if uri in RESOURCES:
        return {"uri": uri, **RESOURCES[uri]}
    before, after = str(TEMPLATE["uriTemplate"]).split("{id}")
    if uri.startswith(before) and uri.endswith(after) and (name := uri[len(before) : -len(after)]):
        data = json.dumps({"id": name, "templateTest": True, "data": f"Data for ID: {name}"})
        return {"uri": uri, "mimeType": TEMPLATE["mimeType"], "text": data}
    return None


def user(content: Json) -> Json:
    """Return a user's message."""
    return {"role": "user", "content": content}


PROMPTS: dict[str, list[str]] = {
    "test_simple_prompt": [],
    "test_prompt_with_arguments": ["arg1", "arg2"],
    "test_prompt_with_embedded_resource": ["resourceUri"],
    "test_prompt_with_image": [],
    "test_input_required_result_prompt": [],
}
"""The prompts, and the names of their arguments."""


def prompt(name: str, changes: int) -> Json:
    """Define a prompt; its description tells how often the list has changed."""
    described = name.removeprefix("test_").replace("_", " ").capitalize()
    arguments = [{"name": each, "description": f"Argument {each}", "required": True} for each in PROMPTS[name]]
    return {"name": name, "description": f"{described} ({changes} changes so far)", "arguments": arguments}


def messages(name: str, arguments: dict[str, str]) -> list[Json]:
    """Return a prompt's messages."""
    match name:
        case "test_prompt_with_arguments":
            return [user(text(f"Prompt with arguments: arg1='{arguments['arg1']}', arg2='{arguments['arg2']}'"))]
        case "test_prompt_with_embedded_resource":
            shown = embedded(arguments["resourceUri"], "Embedded resource content for testing.")
            return [user(shown), user(text("Please process the embedded resource above."))]
        case "test_prompt_with_image":
            return [user(IMAGE), user(text("Please analyze the image above."))]
    return [user(text("This is a simple prompt for testing."))]
