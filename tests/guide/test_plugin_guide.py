"""plugins/README.md is true: whoever follows it word for word has a plugin that works."""

from __future__ import annotations

import json

import pytest

from .support.clones import Clone, commands_in

KINDS = ["ranker", "storage", "auth", "client-transport", "server-transport", "variables", "command"]


@pytest.fixture(scope="module")
def followed(clone: Clone) -> tuple[Clone, list[str]]:
    """Type every command of the page; return what each printed."""
    return clone, [clone.run(command).stdout for command in commands_in("plugins/README.md")]


def test_the_last_command_searches_with_the_new_ranker(followed: tuple[Clone, list[str]]) -> None:
    assert "time__get_current_time" in followed[1][-1]
    assert "(my-ranker)" in followed[1][-1].splitlines()[-1]


def test_the_new_ranker_is_listed_beside_the_built_in_ones(followed: tuple[Clone, list[str]]) -> None:
    listed = json.loads(followed[0].run(".venv/bin/mcp-orchestration-gateway plugins --json").stdout)
    rankers = {item["name"]: item["plugin"] for item in listed["installed"] if item["kind"] == "ranker"}
    assert rankers == {
        "bm25": "ranker-bm25",
        "hybrid": "ranker-hybrid",
        "my-ranker": "ranker-my-ranker",
        "regex": "ranker-regex",
    }
    assert listed["broken"] == []


def test_a_new_plugin_of_any_kind_installs_and_passes_its_own_tests(followed: tuple[Clone, list[str]]) -> None:
    clone = followed[0]
    for kind in KINDS:
        clone.run(
            f".venv/bin/mcp-orchestration-gateway plugins new {kind} an-{kind} --into .. && "
            f".venv/bin/pip install -q ../an-{kind} && .venv/bin/pytest -q ../an-{kind}"
        )
