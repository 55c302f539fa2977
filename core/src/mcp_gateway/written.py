"""JSON objects that are kept as they are written, in a fifth of the memory, and read whenever somebody looks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


class Written(Mapping[str, Any]):
    """An object as UTF-8. Each look reads it: who looks at more than one field calls `read` first."""

    __slots__ = ("json",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        """Write `value`, with its fields in the order that they have."""
        self.json = _as_json(value)

    def read(self) -> dict[str, Any]:
        """Return the object; whoever gets it may change it."""
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
        """Whether `other` is the same object, written or not."""
        if isinstance(other, Written) and self.json == other.json:
            return True
        return isinstance(other, Mapping) and self.read() == read(other)

    __hash__ = None  # type: ignore[assignment]  # as a dict has none

    def __repr__(self) -> str:
        """Show the object."""
        return repr(self.read())


class Named(Written):
    """An object that is looked up by its name, which is at hand."""

    __slots__ = ("name",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        """Write `value`. Its name is copied, or it would keep the memory around it from going back to the system."""
        super().__init__(value)
        name: str = value["name"]
        self.name = name.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")

    def __getitem__(self, name: str) -> Any:
        """Return a field."""
        return self.name if name == "name" else super().__getitem__(name)


def read(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object for looking at many of its fields; it is not to be changed."""
    if isinstance(value, Written):
        return value.read()
    return value if isinstance(value, dict) else dict(value)


def as_bytes(value: Mapping[str, Any]) -> bytes:
    """Return an object's JSON."""
    return value.json if isinstance(value, Written) else _as_json(value)


def mentions(value: Mapping[str, Any], text: str) -> bool:
    """Whether `text`, of characters that JSON never escapes, may stand in an object: a quick first look."""
    return not isinstance(value, Written) or text.encode() in value.json


def _as_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
