"""CONTRIBUTING.md is true: what it tells people to type is there, and works in a fresh clone."""

from __future__ import annotations

import configparser
import re

import pytest

from .support.clones import ROOT, Clone, commands_in

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SETUP, ONE_FILE, ONE_PACKAGE, COVERAGE, EVERYTHING, TOX = commands_in("CONTRIBUTING.md")


@pytest.fixture(scope="module")
def installed(clone: Clone) -> Clone:
    clone.run(SETUP)
    return clone


@pytest.mark.parametrize("command", [ONE_FILE, ONE_PACKAGE])
def test_some_tests_run_after_the_first_line(installed: Clone, command: str) -> None:
    assert re.search(r"^\d+ passed", installed.run(command).stdout, re.MULTILINE)


def test_all_tests_are_collected_without_an_error(installed: Clone) -> None:
    assert re.search(r"^\d+ tests collected", installed.run(f"{EVERYTHING} -q --collect-only").stdout, re.MULTILINE)


def test_coverage_is_measured(installed: Clone) -> None:
    assert COVERAGE.endswith(" core/tests")
    command = COVERAGE.replace("core/tests", ONE_FILE.rpartition(" ")[2])
    assert re.search(r"^TOTAL +\d+", installed.run(command).stdout, re.MULTILINE)


def test_pip_says_which_line_installs_the_workspace(installed: Clone) -> None:
    said = installed.run("python3 -m venv bare && ! bare/bin/pip install -e . 2>&1").stdout
    line = re.search(r"^ *(pip install -e core .* \.)$", said, re.MULTILINE)
    assert line is not None, said
    installed.run(f"bare/bin/{line[1]} -q && bare/bin/mcp-gateway --version")


def test_the_environments_it_names_are_there() -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read_string((ROOT / "tox.ini").read_text(encoding="utf-8"))
    there = {name for key in config if key.startswith("testenv:") for name in re.findall(r"[a-z][\w-]+", key[8:])}
    named = {name for names in re.findall(r"tox -e ([\w,-]+)", PAGE) for name in names.split(",")}
    assert named <= there


def test_the_readme_has_the_same_command_for_everything() -> None:
    assert TOX in commands_in("README.md")


def test_the_files_it_names_are_there() -> None:
    linked = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert linked
    assert [path for path in linked if not (ROOT / path).exists()] == []
