"""JSON objects kept encoded and decoded on access.

Encoded objects need a fifth of the memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


class EncodedObject(Mapping[str, Any]):
    """An object as UTF-8 JSON, decoded on each access.

    For more than one field call `read` first.
    """

    __slots__ = ("json",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        """Encode `value`, keeping the order of its fields."""
        self.json = _as_json(value)

    def read(self) -> dict[str, Any]:
        """Decode the object; the caller may modify it."""
        found: dict[str, Any] = json.loads(self.json)
        return found

    def __getitem__(self, name: str) -> Any:
        """Return a field."""
        return self.read()[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, or `default` if it is not there."""
        return self.read().get(name, default)

    def __contains__(self, name: object) -> bool:
        """Whether there is such a field."""
        return name in self.read()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the fields."""
        return iter(self.read())

    def __len__(self) -> int:
        """Return how many fields there are."""
        return len(self.read())

    def __eq__(self, other: object) -> bool:
        """Whether `other` is an equal object, encoded or not."""
        # Equal bytes mean equal objects; unequal ones are decoded, because only the order of fields may differ.
        if isinstance(other, EncodedObject) and self.json == other.json:
            return True
        return isinstance(other, Mapping) and self.read() == read(other)

    __hash__ = None  # type: ignore[assignment]  # unhashable, like dict

    def __repr__(self) -> str:
        """Show the object."""
        return repr(self.read())


class EncodedTool(EncodedObject):
    """An encoded object with a decoded name for lookups."""

    __slots__ = ("name",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        """Encode `value`, copying its name.

        Without the copy the name would keep the memory block of the decoded object from being returned to the system.
        """
        super().__init__(value)
        name: str = value["name"]
        self.name = name.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")

    def __getitem__(self, name: str) -> Any:
        """Return a field."""
        return self.name if name == "name" else super().__getitem__(name)


def read(value: Mapping[str, Any]) -> dict[str, Any]:
    """Decode an object once for many lookups; treat as read-only."""
    if isinstance(value, EncodedObject):
        return value.read()
    return value if isinstance(value, dict) else dict(value)


def as_bytes(value: Mapping[str, Any]) -> bytes:
    """Return an object's JSON."""
    return value.json if isinstance(value, EncodedObject) else _as_json(value)


def may_contain(value: Mapping[str, Any], text: str) -> bool:
    """Whether `text` may occur in an object, without decoding it.

    It is a quick check with false positives. `text` must consist of characters that JSON never escapes.
    """
    return not isinstance(value, EncodedObject) or text.encode() in value.json


def _as_json(value: Mapping[str, Any]) -> bytes:
    # surrogatepass: servers do send lone surrogates, which are passed on unmodified.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
