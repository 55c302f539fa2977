"""Servers send our ids back in several forms."""

from __future__ import annotations

import pytest

from mcp_gateway.plugin import read_own_id

LONG = 123456789012345678


@pytest.mark.parametrize("raw", [b"7", b'"7"', b"7.0", b'"7.0"', b"7e0", b'"7e0"', b"70e-1", b"0.7e1"])
def test_every_form_of_an_id_is_known(raw):
    assert read_own_id(raw) == 7


@pytest.mark.parametrize("raw", [b"%d" % LONG, b'"%d"' % LONG])
def test_a_long_id_is_exact(raw):
    assert read_own_id(raw) == LONG


@pytest.mark.parametrize(
    "raw",
    [
        *(b"7.5", b'"7.5"', b"-7", b'"-7"', b"1e-99", b"1e999", b"NaN", b"Infinity", b"1_0", b"0x7", b" 7", b'" 7"'),
        *(b'"07"', b'"7', b'7"', b'""', b'"', b"", b"null", b"true", b"[7]", b'{"a":7}', b'"a"', b'"\\u0037"'),
        b'"\xd9\xa7"',  # a digit of another script
        *(b"%d" % 2**70, b"9" * 5000, b'"%b"' % (b"9" * 5000)),
    ],
    ids=lambda raw: repr(raw)[:12],
)
def test_nothing_else_is_an_id_of_ours(raw):
    assert read_own_id(raw) is None
