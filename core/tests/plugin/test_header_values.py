"""No control character gets into a header; everything else may, as Latin-1 where that can be."""

from __future__ import annotations

import pytest

from mcp_gateway.plugin import encode_header_value, has_control_characters


@pytest.mark.parametrize("character", [*map(chr, range(32)), "\x7f"])
def test_a_control_character_is_found_wherever_it_stands(character):
    assert all(map(has_control_characters, (character, f"{character}x", f"Bearer{character}x", f"Bearer x{character}")))


@pytest.mark.parametrize("value", ["", "Bearer s3cr3t", "~ !", "\x80\xa0é日本"])
def test_other_texts_have_none(value):
    assert not has_control_characters(value)


@pytest.mark.parametrize(
    "value, encoded", [("", b""), ("é", b"\xe9"), ("\xc3\xa9", b"\xc3\xa9"), ("日", b"\xe6\x97\xa5")]
)
def test_a_value_goes_as_the_bytes_that_it_came_as(value, encoded):
    assert encode_header_value(value) == encoded
