"""Contract of variable sources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar

import pytest

from mcp_gateway.plugin import VariableError, VariableSource
from mcp_gateway_testkit.contract import InstalledContract

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_TAKEN = frozenset({"command", "config", "env", "extension", "file", "input"})
_MISSING = "testkit.no-such-key"
_KEY = "testkit.key"


class VariableSourceContract(InstalledContract):
    """Contract of variable sources: set `source` to what the plugin's hook yields.

    `known` are keys and values that the source has in tests. If they can only be made at run time, override the fixture
    `values`, which makes and returns them. Nothing of a person's own may be touched by tests.
    """

    hook = "mcp_gateway_variable_sources"
    entry_prefix = "variables"

    source: ClassVar[VariableSource]
    known: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture
    def values(self) -> Mapping[str, str]:
        """Return keys and values that the source has."""
        return self.known

    @property
    def offered_name(self) -> str:
        """The source's name."""
        return self.source.name

    def is_mine(self, item: object) -> bool:
        """Whether an item of the hook is the source."""
        return isinstance(item, VariableSource) and item.name == self.source.name

    def test_the_name_can_stand_before_a_colon_and_the_summary_is_one_line(self) -> None:
        """People write `${name:KEY}`, and some names have a meaning there already."""
        assert _NAME.fullmatch(self.source.name), "lower-case letters, digits, - and _ only"
        assert self.source.name not in _TAKEN, "that stands before a colon already"
        assert self.source.summary.strip()
        assert "\n" not in self.source.summary

    def test_known_values_are_read_and_shown_by_nothing(self, values: Mapping[str, str]) -> None:
        """A value is a secret."""
        assert {key: self.source.read(key) for key in values} == values
        assert not [value for value in values.values() if value in repr(self.source)]

    def test_a_missing_key_has_no_value_and_it_is_said_what_to_do(self, values: Mapping[str, str]) -> None:
        """It is None, not an error, and no empty text."""
        assert self.source.read(_MISSING) is None
        advice = self.source.explain_missing(_MISSING)
        assert _MISSING in advice
        assert "\n" not in advice

    @pytest.mark.parametrize(
        "key", ["../" * 8 + "etc/passwd", "/etc/passwd", "a\x00b", "ä\n", "x" * 5000, "$(id)", "-h"]
    )
    def test_an_odd_key_gets_no_value_or_the_error_of_a_source(self, values: Mapping[str, str], key: str) -> None:
        """A key must not lead out of the source.

        Configurations of others are read, too.
        """
        with suppress(VariableError):
            assert self.source.read(key) is None

    @pytest.mark.parametrize(
        "value", ["plain", "two words", "lines\nof\ntext", "ümläut ☃", "${HOME} %s {x}", "x" * 1000]
    )
    def test_a_value_is_kept_as_it_is(self, values: Mapping[str, str], value: str) -> None:
        """Sources that can be written keep, replace and forget any text."""
        write, remove = self.source.write, self.source.remove
        if write is None or remove is None:
            assert (write is None) == (remove is None), "what can be written can be removed, and the other way round"
            pytest.skip("it can only be read")
        write(_KEY, "another")
        write(_KEY, value)
        try:
            assert self.source.read(_KEY) == value
        finally:
            assert remove(_KEY) is True
        assert self.source.read(_KEY) is None
        assert remove(_KEY) is False

    def test_its_file_changes_with_every_value(self, values: Mapping[str, str]) -> None:
        """By that gateways that run see another value."""
        write, remove, find_file = self.source.write, self.source.remove, self.source.find_file
        if write is None or remove is None or find_file is None:
            pytest.skip("it has no such file")
        seen: list[bytes] = []
        for value in ("one", "two", "two"):
            write(_KEY, value)
            seen.append(find_file().read_bytes())
        remove(_KEY)
        seen.append(find_file().read_bytes())
        assert len(set(seen[:2])) == 2, "another value"
        assert seen[-1] != seen[-2], "no value"
