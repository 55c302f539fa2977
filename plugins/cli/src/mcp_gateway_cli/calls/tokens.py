"""Estimates of what a text costs a model."""

from __future__ import annotations

import json
from typing import Any

CHARACTERS_PER_TOKEN = 4
"""The usual estimate for English text and JSON; the tokenizer of a model may differ by a quarter."""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text is."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def estimate_answer(result: dict[str, Any]) -> int:
    """Return about how many tokens the text of a tool's result is."""
    blocks = result.get("content") or []
    return estimate_tokens("".join(block.get("text", "") for block in blocks if block.get("type") == "text"))


def estimate_value(value: Any) -> int:
    """Return about how many tokens a value is as JSON."""
    return estimate_tokens(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
