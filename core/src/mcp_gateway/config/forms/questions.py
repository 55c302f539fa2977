"""Inputs that a file of servers describes: `${input:name}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_gateway.config.forms.recognition import find_at
from mcp_gateway.config.forms.variables import InputQuestion


def find_questions(document: Mapping[str, Any]) -> dict[str, InputQuestion]:
    """Return the inputs that a document describes, by name."""
    found: dict[str, InputQuestion] = {}
    for place in (("inputs",), ("mcp", "inputs"), ("mcp.inputs",)):
        listed = find_at(document, place)
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                found[item["id"]] = _read_question(item)
    return found


def _read_question(item: Mapping[str, Any]) -> InputQuestion:
    description, default, options = item.get("description"), item.get("default"), item.get("options")
    values = [each.get("value", each.get("label")) if isinstance(each, dict) else each for each in options or []]
    return InputQuestion(
        item["id"],
        description if isinstance(description, str) else "",
        default if isinstance(default, str) else None,
        item.get("password") is True,
        tuple(value for value in values if isinstance(value, str)),
    )
