"""Content codings of responses, decoded in bounded steps."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Protocol

from mcp_gateway_transport_http.client.responses.limits import PIECE_BYTES, LimitExceeded

_RAW, _ZLIB, _GZIP = -zlib.MAX_WBITS, zlib.MAX_WBITS, zlib.MAX_WBITS + 16
_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATED = 8

_SLICE_BYTES = 64
"""How much a decoder gets that cannot bound its output: a block of Zstandard, 4 bytes or more, has 128 KiB."""


class Decoder(Protocol):
    """Decodes a body piece by piece."""

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """Yield what a piece decodes to, in pieces of bounded length."""
        ...

    @property
    def is_finished(self) -> bool:
        """Whether what has come may be the end."""
        ...


def open_decoder(codings: tuple[str, ...]) -> Decoder:
    """Return the decoder of a body.

    Raises:
        LimitExceeded: it cannot be decoded here; the words name the coding.

    """
    if len(codings) > 1:
        raise LimitExceeded(f"its answer is compressed more than once ({', '.join(codings)}), though nobody asked")
    coding = codings[0]
    if coding in ("gzip", "x-gzip"):
        return _Inflater(_GZIP)
    if coding == "deflate":
        return _Inflater(None)
    found = {"br": _open_brotli, "zstd": _open_zstd}.get(coding, lambda: None)()
    if found is None:
        raise LimitExceeded(f"its answer has the content coding {coding[:40]!r}, which cannot be decoded here")
    return found


class _Inflater:
    """Decoder of gzip and deflate (RFC 9110, section 8.4.1).

    Some servers send deflate without the envelope of zlib.
    """

    def __init__(self, window: int | None) -> None:
        self._window, self._begun = window, b""
        self._inflate = None if window is None else zlib.decompressobj(window)

    @property
    def is_finished(self) -> bool:
        return self._inflate is not None and self._inflate.eof

    def decode(self, piece: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            self._begun += piece
            if len(self._begun) < len(_GZIP_MAGIC):
                return
            piece, self._begun = self._begun, b""
            self._window = _ZLIB if _has_zlib_header(piece) else _RAW
            self._inflate = zlib.decompressobj(self._window)
        try:
            yield from self._decode(piece)
        except zlib.error as error:
            raise LimitExceeded(f"its answer cannot be decompressed: {error}") from None

    def _decode(self, piece: bytes) -> Iterator[bytes]:
        while piece and self._inflate is not None:
            if self._inflate.eof:
                # A body may be several members one after the other; what else follows is padding.
                if self._window != _GZIP or not piece.startswith(_GZIP_MAGIC[: len(piece)]):
                    return
                self._inflate = zlib.decompressobj(_GZIP)
            yield self._inflate.decompress(piece, PIECE_BYTES)
            piece = self._inflate.unconsumed_tail or self._inflate.unused_data


def _has_zlib_header(piece: bytes) -> bool:
    """Whether a body begins as RFC 1950 has it."""
    return piece[0] & 0x0F == _DEFLATED and int.from_bytes(piece[:2], "big") % 31 == 0


class _BoundedDecoder:
    """Decoder of a library whose decompressor bounds its output.

    `compression.zstd` is one, for example.
    """

    def __init__(self, decompress: Callable[[bytes, int], bytes], is_finished: Callable[[], bool], errors: Any) -> None:
        self._decompress, self._is_finished, self._errors = decompress, is_finished, errors

    @property
    def is_finished(self) -> bool:
        return self._is_finished()

    def decode(self, piece: bytes) -> Iterator[bytes]:
        try:
            while (decoded := self._decompress(piece, PIECE_BYTES)) or piece:
                yield decoded
                piece = b""
        except self._errors as error:
            raise LimitExceeded(f"its answer cannot be decompressed: {error}") from None


class _SlicedDecoder:
    """Decoder of a library that does not bound its output.

    It gets little at a time.
    """

    def __init__(self, decompress: Callable[[bytes], bytes], is_finished: Callable[[], bool], errors: Any) -> None:
        self._decompress, self._is_finished, self._errors = decompress, is_finished, errors

    @property
    def is_finished(self) -> bool:
        return self._is_finished()

    def decode(self, piece: bytes) -> Iterator[bytes]:
        try:
            for at in range(0, len(piece), _SLICE_BYTES):
                if self._is_finished():
                    return
                yield self._decompress(piece[at : at + _SLICE_BYTES])
        except self._errors as error:
            raise LimitExceeded(f"its answer cannot be decompressed: {error}") from None


def _import(*names: str) -> Any:
    """Return the first of these modules that is installed, or None."""
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def _open_brotli() -> Decoder | None:
    library = _import("brotli", "brotlicffi")
    if library is None:
        return None
    stream = library.Decompressor()
    feed = getattr(stream, "process", None) or stream.decompress

    def decompress(piece: bytes, limit: int) -> bytes:
        decoded: bytes = feed(piece, output_buffer_limit=limit)
        return decoded

    try:
        decompress(b"", 1)
    except TypeError:  # an old release, which decompresses all that it is given: a kilobyte may be gigabytes
        return None
    return _BoundedDecoder(decompress, stream.is_finished, library.error)


def _open_zstd() -> Decoder | None:
    library = _import("compression.zstd", "backports.zstd", "pyzstd")
    if library is not None:
        stream = library.ZstdDecompressor()

        def decompress(piece: bytes, limit: int) -> bytes:
            decoded: bytes = (
                b"" if stream.eof or (not piece and stream.needs_input) else stream.decompress(piece, limit)
            )
            return decoded

        return _BoundedDecoder(decompress, lambda: stream.eof, (library.ZstdError, EOFError))
    library = _import("zstandard")
    if library is None:
        return None
    sliced = library.ZstdDecompressor(max_window_size=8 << 20).decompressobj()
    return _SlicedDecoder(sliced.decompress, lambda: sliced.eof, library.ZstdError)
