"""The threat model in SECURITY.md: every line names tests, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from mcp_gateway.pinning.scanner import OTHERS_TOOLS, RULES

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "core" / "SECURITY.md").read_text(encoding="utf-8")
LINES = [line for line in MODEL.splitlines() if re.match(r"\| [A-Z]\d+ \| [A-Z](?:, [A-Z])* \|", line)]
NAMED = sorted(set(re.findall(r"`([\w/.-]+\.py)::(\w+)`", MODEL)))


def names_in(path: Path) -> set[str]:
    """Return the names of a file's tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_line_names_a_test():
    assert len(LINES) > 40
    assert [line for line in LINES if "::test_" not in line] == []


@pytest.mark.parametrize("file, test", NAMED)
def test_every_test_that_is_named_exists(file, test):
    assert test in names_in(ROOT / file)


def test_no_two_lines_have_one_id():
    ids = [line.split("|")[1].strip() for line in LINES]
    assert len(ids) == len(set(ids))


def test_every_attacker_that_is_named_is_introduced():
    introduced = set(re.findall(r"^\| ([A-Z]) \|", MODEL, re.MULTILINE))
    named = {letter.strip() for line in LINES for letter in line.split("|")[2].split(",")}
    assert named == introduced


def test_the_rules_of_the_scanner_are_written_down_as_they_are():
    for rule in (*RULES, OTHERS_TOOLS):
        assert f"| `{rule.id}` | {rule.says} |" in MODEL
