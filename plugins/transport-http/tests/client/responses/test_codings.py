"""Content codings: decoded in bounded steps, with whichever libraries there are."""

from __future__ import annotations

import gzip
import sys
import types
import zlib

import pytest
from mcp_gateway_transport_http.client.responses import codings
from mcp_gateway_transport_http.client.responses.codings import open_decoder
from mcp_gateway_transport_http.client.responses.limits import PIECE_BYTES, LimitExceeded

ZEROS = bytes(50 << 20)


@pytest.mark.parametrize("coding, pack", [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_no_step_decodes_more_than_a_piece(coding, pack):
    decoder = open_decoder((coding,))
    total = 0
    for piece in decoder.decode(pack(ZEROS)):
        assert len(piece) <= PIECE_BYTES
        total += len(piece)
    assert total == len(ZEROS)
    assert decoder.is_finished


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_coding_whose_library_is_not_installed_is_named(coding, monkeypatch):
    monkeypatch.setattr(codings, "_import", lambda *_: None)
    with pytest.raises(LimitExceeded, match=f"content coding '{coding}'"):
        open_decoder((coding,))


def library(**members):
    module = types.ModuleType("library")
    vars(module).update(members)
    return module


class Bounded:
    """A decompressor with the interface of `compression.zstd` and, nearly, of `brotli`: deflate in their place."""

    def __init__(self):
        self._inflate = zlib.decompressobj()
        self.eof, self.needs_input = False, True

    def decompress(self, data, max_length):
        decoded = self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        self.eof, self.needs_input = self._inflate.eof, not self._inflate.unconsumed_tail
        return decoded

    def process(self, data, *, output_buffer_limit):
        return self.decompress(data, output_buffer_limit)

    def is_finished(self):
        return self.eof


class Whole:
    """A decompressor with the interface of `zstandard`."""

    def __init__(self, max_window_size):
        assert max_window_size

    def decompressobj(self):
        return zlib.decompressobj()


class Old:
    """A decompressor of an old `brotli`."""

    def process(self, data):
        return data


@pytest.mark.parametrize(
    "coding, name, module",
    [
        ("br", "brotli", library(Decompressor=Bounded, error=zlib.error)),
        ("zstd", "compression.zstd", library(ZstdDecompressor=Bounded, ZstdError=zlib.error)),
        ("zstd", "zstandard", library(ZstdDecompressor=Whole, ZstdError=zlib.error)),
    ],
)
def test_libraries_are_used_if_they_are_installed(coding, name, module, monkeypatch):
    for other in ("brotli", "brotlicffi", "compression.zstd", "backports.zstd", "pyzstd", "zstandard"):
        monkeypatch.setitem(sys.modules, other, None)
    monkeypatch.setitem(sys.modules, "compression", types.ModuleType("compression"))
    monkeypatch.setitem(sys.modules, name, module)
    decoder = open_decoder((coding,))
    packed = zlib.compress(b"hello " * 100_000)
    longest = total = 0
    for at in range(0, len(packed), 100):
        for piece in decoder.decode(packed[at : at + 100]):
            longest, total = max(longest, len(piece)), total + len(piece)
    assert total == 600_000
    assert longest <= PIECE_BYTES
    assert decoder.is_finished
    with pytest.raises(LimitExceeded, match="cannot be decompressed"):
        list(open_decoder((coding,)).decode(b"no such thing"))


def test_a_library_that_cannot_bound_what_it_returns_is_not_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "brotli", library(Decompressor=Old, error=zlib.error))
    with pytest.raises(LimitExceeded, match="content coding 'br'"):
        open_decoder(("br",))
