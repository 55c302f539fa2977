"""No control character gets into a header; everything else may."""

from __future__ import annotations

import pytest

from mcp_gateway.plugin import has_control_characters


@pytest.mark.parametrize("character", [*map(chr, range(32)), "\x7f"])
def test_a_control_character_is_found_wherever_it_stands(character):
    assert all(map(has_control_characters, (character, f"{character}x", f"Bearer{character}x", f"Bearer x{character}")))


@pytest.mark.parametrize("value", ["", "Bearer s3cr3t", "~ !", "\x80\xa0é日本"])
def test_other_texts_have_none(value):
    assert not has_control_characters(value)
