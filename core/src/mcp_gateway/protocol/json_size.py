"""Approximate JSON size, without encoding."""

from __future__ import annotations


def json_size(value: object, max_size: int) -> int:
    """Return the approximate JSON size, capped shortly after `max_size`.

    The size is in bytes, without escapes.
    """
    waiting, size = [value], 0
    while waiting and size <= max_size:
        match waiting.pop():
            case str() as text:
                size += len(text) + 2 if text.isascii() else len(text.encode("utf-8", "replace")) + 2
            case dict() as inner:
                size += 2 + 2 * len(inner)
                waiting += inner
                waiting += inner.values()
            case list() | tuple() as items:
                size += 2 + len(items)
                waiting += items
            case _:
                size += 4
    return size
