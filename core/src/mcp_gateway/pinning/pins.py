"""Pins of tool definitions, and the differences of later definitions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from io import BytesIO
from types import MappingProxyType
from typing import Any

from mcp_gateway.catalog.listing import Definition
from mcp_gateway.protocol.encoded_json import EncodedObject, read
from mcp_gateway.storage.compression import pack, unpack

PINNED = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""The fields that are compared: those that a model reads or on which a client bases decisions."""

MAX_PINS = 20_000
"""How many tools of one server are pinned."""

MAX_PINS_BYTES = 128 << 20
"""How many bytes the uncompressed pins of one server may have: twice the largest list, for approved and pending."""

_MAX_FIELDS, _MAX_FIELD, _MAX_SHOWN, _MAX_SAID, _AROUND = 200, 2000, 4, 60, 20
# Earlier hashes are kept because returning to an approved definition needs no new approval.
_MAX_KNOWN = 20

Fields = Mapping[str, str]
"""The values of a definition as text, by path, such as `inputSchema.properties.path.description`."""

_NONE: Fields = MappingProxyType({})
_HEAD, _TAIL = b'{"pins": 1, "tools": {\n', b"\n}}"


@dataclass(frozen=True, slots=True)
class Pin:
    """The pin of a tool: known hashes and approved fields.

    `known` has the hashes of the first definition and of all approved ones; the fields are those of the latest of
    them. `pending` is the hash of the current definition if it is not a known one, and `pending_fields` its fields.
    `flags` are the ids of the scanner rules that the current definition violates.
    """

    known: tuple[str, ...]
    fields: Fields
    pending: str = ""
    pending_fields: Fields = field(default_factory=lambda: _NONE)
    flags: tuple[str, ...] = ()

    @property
    def change(self) -> str:
        """The pending change in one line, or the empty string."""
        return difference(self.fields, self.pending_fields) if self.pending else ""

    def approve(self) -> Pin:
        """Return the pin with the pending definition approved."""
        return Pin((*self.known, self.pending)[-_MAX_KNOWN:], self.pending_fields, flags=self.flags)

    def update(self, hashed: str, fields: Fields, flags: tuple[str, ...]) -> Pin:
        """Return the pin after the tool was seen again."""
        if hashed in self.known:
            return replace(self, pending="", pending_fields=_NONE, flags=flags)
        return replace(self, pending=hashed, pending_fields=fields, flags=flags)


Pins = dict[str, Pin]
"""The pins of one server, by unqualified tool name."""


def hash_of(definition: Definition) -> str:
    """Return the hash of a definition's pinned fields."""
    counted = {name: definition[name] for name in PINNED if name in definition}
    return sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()[:32]


def pin_fields(definition: Definition, *, hidden: bool = False) -> Fields:
    """Return a definition's pinned fields as they are stored."""
    return EncodedObject(fields_of(definition, hidden=hidden))


def fields_of(definition: Definition, *, hidden: bool = False) -> dict[str, str]:
    """Flatten a definition into text by path; `hidden` hashes the text."""
    found: dict[str, str] = {}
    for path, value in _parts(definition):
        if len(found) == _MAX_FIELDS:
            break
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        found[path] = f"#{sha256(text.encode(errors='replace')).hexdigest()[:8]}" if hidden else text[:_MAX_FIELD]
    return found


def difference(before: Fields, after: Fields) -> str:
    """Describe in one line the fields that differ, with both values."""
    before, after = read(before), read(after)
    changes = [_change(path, before.get(path), after.get(path)) for path in (*before, *(set(after) - set(before)))]
    known = [change for change in changes if change]
    more = [f"and {len(known) - _MAX_SHOWN} more"] if len(known) > _MAX_SHOWN else []
    return "; ".join([*known[:_MAX_SHOWN], *more]) or "further on than is remembered of its fields"


def encode_pins(pins: Pins) -> bytes:
    """Encode pins as JSON lines."""
    return b"".join(iter_pin_lines(pins))


def iter_pin_lines(pins: Pins) -> Iterator[bytes]:
    """Yield pins as JSON, one per line.

    Encoding them at once would briefly need many times as much memory.
    """
    yield _HEAD
    for at, (name, pin) in enumerate(pins.items()):
        separator = ",\n" if at else ""
        kept = {"known": pin.known, "fields": read(pin.fields), "flags": pin.flags}
        pending = {"pending": pin.pending, "pending_fields": read(pin.pending_fields)} if pin.pending else {}
        yield f"{separator}{json.dumps(name)}: {json.dumps({**kept, **pending})}".encode()
    yield _TAIL


def compress_pins(pins: Pins) -> bytes:
    """Encode and compress pins."""
    return pack(iter_pin_lines(pins))


def decompress_pins(value: bytes) -> Pins:
    """Decode what `compress_pins` returned.

    Raises:
        ValueError: the value has another form.

    """
    return decode_pins(unpack(value, MAX_PINS_BYTES))


def decode_pins(value: bytes) -> Pins:
    """Decode what `encode_pins` returned.

    Raises:
        ValueError: the value has another form.

    """
    try:
        return _decode_lines(value) or {str(name): _pin(kept) for name, kept in json.loads(value)["tools"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError("these are no pins") from error


def _decode_lines(value: bytes) -> Pins | None:
    """Decode pins line by line, or return None.

    It needs little memory. The result is None if the lines have another form.
    """
    found: Pins = {}
    try:
        if value.startswith(_HEAD) and value.endswith(_TAIL):
            for line in BytesIO(value[len(_HEAD) : -len(_TAIL)]):
                found |= {name: _pin(kept) for name, kept in json.loads(b"{%b}" % line.rstrip(b",\n")).items()}
    except ValueError:
        return None
    return found


def _pin(kept: Mapping[str, Any]) -> Pin:
    pending = kept.get("pending_fields")
    return Pin(
        tuple(map(str, kept["known"])),
        _fields(kept["fields"]),
        str(kept.get("pending", "")),
        _fields(pending) if pending else _NONE,
        tuple(map(str, kept.get("flags", ()))),
    )


def _fields(kept: Mapping[str, Any]) -> Fields:
    return EncodedObject({str(path): str(text) for path, text in kept.items()})


def _parts(definition: Definition) -> Iterator[tuple[str, object]]:
    """Iterate over the leaves with their paths: texts, numbers, lists."""
    rest: list[tuple[str, object]] = [(name, definition[name]) for name in reversed(PINNED) if name in definition]
    while rest:
        path, value = rest.pop()
        if isinstance(value, dict) and value:
            rest += [(f"{path}.{name}", inner) for name, inner in reversed(value.items())]
        else:
            yield path, value


def _change(path: str, before: str | None, after: str | None) -> str:
    if before == after:
        return ""
    if before is None:
        return f"{path} is new: {_quote(after or '')}"
    if after is None:
        return f"{path} is gone"
    # Both are hashes of hidden texts: showing them would be useless.
    if before.startswith("#") and after.startswith("#"):
        return f"{path} has changed"
    start = next((at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), None)
    start = max(0, (min(len(before), len(after)) if start is None else start) - _AROUND)
    return f"{path} was {_quote(before, start)} and is {_quote(after, start)}"


def _quote(text: str, start: int = 0) -> str:
    """Quote an excerpt of a text, with unprintable characters escaped.

    The excerpt is on one line.
    """
    part = text[start : start + _MAX_SAID]
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in part)
    return f"{'…' if start else ''}{shown!r}{'…' if len(text) > start + _MAX_SAID else ''}"
