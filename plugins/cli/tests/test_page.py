"""The page of the command line has every verb, and every option of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mcp_gateway_cli.verbs import VERBS

from mcp_gateway.control.commands import CORE_COMMANDS

PAGE = (Path(__file__).parents[3] / "core" / "docs" / "command-line.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [*VERBS, *CORE_COMMANDS], ids=lambda one: one.name)
def test_every_verb_and_option_is_described(command):
    rows = [row for row in PAGE.splitlines() if row.startswith("|") and re.search(rf"`{command.name}\b", row)]
    assert rows, f"core/docs/command-line.md has no row for {command.name}"
    section = PAGE.partition(f"## {command.name}\n")[2].partition("\n## ")[0]
    for argument in command.arguments:
        if argument.names[0].startswith("-"):
            assert any(name in text for name in argument.names for text in (*rows, section)), argument.names
    if command.has_json:
        assert any(row.rstrip(" |").rpartition("|")[2].strip() for row in rows), "its JSON is not described"


def test_no_verb_is_described_that_is_not_there():
    found = re.findall(r"^\| `([a-z]+)", PAGE, re.MULTILINE)
    known = {command.name for command in (*VERBS, *CORE_COMMANDS)}
    assert set(found) <= known | {"login", "logout", "secret"}  # of plugins
