"""Parsing a stream of server-sent events (HTML standard, section 9.2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_PAUSE_SECONDS = 1.0
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Events:
    """What has come of a stream: the id of the last event, and how long to wait (seconds) before resuming it."""

    last: str | None = None
    retry: float = _PAUSE_SECONDS
    _rest: bytes = b""
    _data: list[bytes] = field(default_factory=list)

    def parsed(self, piece: bytes) -> Iterator[bytes]:
        """Take a piece of the stream; return the data of the events that are complete now."""
        text = self._rest + piece
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
            held = b"\r" if text.endswith(b"\r") else b""
            text = text.removesuffix(b"\r").replace(b"\r", b"\n") + held
        *lines, self._rest = text.split(b"\n")
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                data, self._data = b"\n".join(self._data), []
                if data:
                    yield data

    def _field(self, line: bytes) -> None:
        name, _, value = line.removeprefix(_BOM).partition(b":")  # it may begin a stream; no field is called so
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
            case b"id" if b"\0" not in value:
                self.last = value.decode("latin-1") or None
            case b"retry" if value.isdigit():
                self.retry = int(value) / 1000
