"""Lists of names with descriptions, within a bound."""

from __future__ import annotations

import pytest

from mcp_gateway.text.name_lists import clip, fit_lines, fit_names, utf16_length


def render(name, about):
    return f"{name} ({about})" if about else name


ITEMS = [(f"name{number}", "d" * 300) for number in range(10)]
NAMES = ", ".join(name for name, _ in ITEMS)


@pytest.mark.parametrize("room", range(20, 2500, 7))
def test_a_list_never_passes_its_bound_and_names_come_first(room):
    said = fit_names(ITEMS, room, render, ", ")
    assert len(said) <= room
    if room >= len(NAMES):
        assert all(name in said for name, _ in ITEMS)
        assert "more" not in said
    else:
        assert said.endswith(f"and {10 - said.count('name')} more")
        assert "(" not in said


def test_all_descriptions_are_shortened_alike_before_any_is_left_out():
    assert fit_names([("a", "x" * 90), ("b", "y")], 70, render, ", ") == f"a ({'x' * 49}…), b (y)"
    assert fit_names([("a", "x" * 90), ("b", "z" * 90)], 45, render, ", ") == f"a ({'x' * 29}…), b"


def test_a_name_that_is_too_long_makes_room_for_others():
    assert fit_names([("n" * 500, ""), ("a", ""), ("b", "")], 30, render, ", ") == "a, b, and 1 more"


def test_characters_are_counted_as_clients_count_them():
    assert utf16_length("a\U0001f680\ud83d") == 4
    said = fit_names([("a", "\U0001f680" * 50)], 60, render, ", ")
    assert utf16_length(said) <= 60


def test_lines_that_do_not_fit_are_counted():
    assert fit_lines(["a" * 10, "b" * 50, "c" * 10], 40) == ["a" * 10, "c" * 10, "and 1 more"]
    assert fit_lines(["a", "b"], 3) == ["a", "b"]
    assert clip("a" * 10, 5) == "aaaa…"
