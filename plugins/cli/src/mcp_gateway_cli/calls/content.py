"""The content of a result, for a person or for a pipe."""

from __future__ import annotations

import json
from typing import Any, TypeGuard

from mcp_gateway.control.report import complain_error, describe_failure
from mcp_gateway.control.terminal import complain, complain_text, show, show_json, show_text
from mcp_gateway_cli.calls.attachments import describe_attachment, read_attachment
from mcp_gateway_cli.calls.records import find_records, show_records, show_value
from mcp_gateway_cli.output.tables import is_terminal

Json = dict[str, Any]

_NO_REASON = "the tool failed and did not say why"

_MAX_PARSED = 4_000_000
"""A longer text is printed as it is."""


def show_result(result: Json, *, saved: bool = False) -> None:
    """Print a tool's result, or the message of a gateway error.

    Errors go to standard error. On a terminal JSON is made readable; piped, every text is as the tool wrote it.
    `saved` is whether images and files have been saved, and so are not to be mentioned.
    """
    structured, blocks = result.get("structuredContent"), _blocks_of(result)
    if result.get("isError"):
        _complain(structured, blocks)
        return
    readable = is_terminal()
    records = find_records(structured) if readable else None
    for block in blocks:
        # With a table of the same, the JSON of it would be there twice.
        if records is None or block.get("type") != "text" or _parse(str(block.get("text", ""))) is None:
            _show_block(block, saved=saved, readable=readable)
    if records is not None:
        show_records(records)
    elif not blocks and "structuredContent" in result:
        (show_value if readable else _show_plain)(structured)
    elif not blocks and readable:
        complain("the tool has answered nothing, and no error")


def describe_result(result: Json) -> Json:
    """Return the JSON of a result, with what failed.

    An error of the gateway is told once: a result has it as text, too.
    """
    structured = result.get("structuredContent")
    if not result.get("isError"):
        return result
    if is_gateway_error(structured):
        return {**structured, **describe_failure(structured["error_code"], str(structured["error"]))}
    return {**describe_failure("tool_failed", text_of(result) or _NO_REASON), **result}


def is_gateway_error(structured: object) -> TypeGuard[Json]:
    """Whether a structured content is an error of the gateway."""
    return isinstance(structured, dict) and {"success", "error_code", "error"} <= structured.keys()


def text_of(result: Json) -> str:
    """Return all text of a result."""
    blocks = _blocks_of(result)
    return "\n".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")


def _blocks_of(result: Json) -> list[Json]:
    found = result.get("content")
    return [block for block in found if isinstance(block, dict)] if isinstance(found, list) else []


def _complain(structured: object, blocks: list[Json]) -> None:
    if is_gateway_error(structured):
        complain_error(str(structured["error"]))
        return
    for block in blocks:
        is_text = block.get("type") == "text"
        complain_text(str(block.get("text", "")) if is_text else json.dumps(block, ensure_ascii=False))
    if not blocks:
        complain_error(_NO_REASON)


def _show_block(block: Json, *, saved: bool, readable: bool) -> None:
    resource = block.get("resource")
    if block.get("type") == "text":
        _show_text(str(block.get("text", "")), readable=readable)
    elif (attachment := read_attachment(block)) is not None:
        show(*([] if saved else [describe_attachment(attachment)]))
    elif isinstance(resource, dict) and isinstance(resource.get("text"), str):
        show(f"{resource.get('uri', '')}:")
        _show_text(resource["text"], readable=readable)
    elif block.get("type") == "resource_link":
        about = [str(block[key]) for key in ("title", "name", "description", "mimeType") if block.get(key)]
        show(f"{block.get('uri', '')}  {', '.join(about)}".rstrip())
    else:
        show_json(block)


def _show_text(text: str, *, readable: bool) -> None:
    value = _parse(text) if readable else None
    if value is None:
        show_text(text)
    else:
        show_value(value)


def _parse(text: str) -> Any:
    """Parse a text that is a JSON object or array; else None."""
    if text.lstrip()[:1] not in ("{", "[") or len(text) > _MAX_PARSED:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _show_plain(value: Any) -> None:
    show_json(value, indent=2)
