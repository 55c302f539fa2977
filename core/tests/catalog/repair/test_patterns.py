"""Patterns: those that JavaScript compiles are told from those that it does not."""

from __future__ import annotations

import pytest

from mcp_gateway.catalog.repair.patterns import is_portable_pattern

PORTABLE = [
    "",
    "^[a-z0-9_-]+$",
    r"^\d{4}-\d{2}-\d{2}$",
    "^(?:a|b)+?$",
    r"^(?<year>\d+)(?<month>\d+)$",
    r"^[\w.-]+@[\w.-]+\.\w{2,}$",
    "^#?[0-9a-fA-F]{6}$",
    r"^[^/\\]+$",
    r"\p{L}+",
    "^(?!x)y$",
    "(?<=a)b",
    r"^\$\{[a-z]+\}$",
    "^https?://",
    r"[\u4e00-\u9fff]+",
    r"[\x00-\x1f]",
    "[-a]",
    "[]",
    "[^]",
    r"\u{1F600}",
    "[à-ÿ]",
    "^[A-Za-z0-9+/]*={0,2}$",
    r"[\b]",
    "(a)(b)*",
]
NOT_PORTABLE = [
    "(?P<x>a)",
    r"\_",
    r"\-",
    "(",
    ")",
    "[",
    "a{2",
    "a**",
    "a++",
    "*",
    "^*",
    "(?=a)*",
    "(?i)a",
    "(?>a)",
    r"\A",
    r"\Z",
    r"\1",
    r"\01",
    r"\x1",
    r"\p{",
    r"[\w-.]",
    r"[a-\d]",
    "[z-a]",
    r"[\x1f-\x00]",
    "a{3,2}",
    "]",
    "}",
    "(?<a>x)(?<a>y)",
]


@pytest.mark.parametrize("pattern", PORTABLE)
def test_a_pattern_that_javascript_compiles_is_portable(pattern):
    assert is_portable_pattern(pattern)


@pytest.mark.parametrize("pattern", NOT_PORTABLE)
def test_a_pattern_that_javascript_does_not_compile_is_not(pattern):
    assert not is_portable_pattern(pattern)


@pytest.mark.parametrize("part", [r"\n", "a-", "(", "[", "[a-", "(?:", "{", "a{1,"])
def test_a_long_pattern_that_is_none_is_read_in_linear_time(part):
    assert not is_portable_pattern(f"[{part * 50_000}")
    assert not is_portable_pattern(f"{part * 50_000}[")
