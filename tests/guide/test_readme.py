"""README.md and its pages are true: their commands work in a fresh clone, and their tables name what there is."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import tomllib
from subprocess import CompletedProcess

import pytest

from .support.clones import ROOT, Clone, commands_in

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "core" / "docs"
RUN, SERVE, TEST = commands_in("README.md")
(SHARE,) = commands_in("core/docs/replicas.md")


def names_in(table: str) -> set[str]:
    """Return the names in the first column of a table."""
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


@pytest.fixture(scope="module")
def installed(clone: Clone) -> tuple[Clone, CompletedProcess[str]]:
    """Run the first command; return what it printed, too."""
    return clone, clone.run(RUN)


def test_the_first_command_shows_what_the_page_says(installed: tuple[Clone, CompletedProcess[str]]) -> None:
    shown = re.search(r"^```text\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert shown is not None
    assert installed[1].stdout.endswith(f"\n{shown[1]}")


def test_the_first_command_shows_what_it_does_meanwhile(installed: tuple[Clone, CompletedProcess[str]]) -> None:
    assert "Successfully installed uv" in installed[1].stdout
    for step in ("Resolved", "Built mcp-gateway-core", "Prepared", "Installed", "+ mcp-orchestration-gateway=="):
        assert step in installed[1].stderr


def test_the_next_command_calls_a_tool(installed: tuple[Clone, CompletedProcess[str]]) -> None:
    command = re.search(r"Call one: `([^`]+)`", README)
    assert command is not None
    assert json.loads(installed[0].run(command[1]).stdout)["timezone"] == "Asia/Tokyo"


@pytest.mark.parametrize("command, count", [(SERVE, 1), (SHARE, 3)])
def test_the_commands_that_serve_do_so(
    installed: tuple[Clone, CompletedProcess[str]], command: str, count: int
) -> None:
    clone = installed[0]
    command = re.sub(r"\b808\d\b", "0", command)
    environment = clone.environment(GATEWAY_PORT="0", GATEWAY_LOG_FORMAT="json")
    serving = subprocess.Popen(
        ["bash", "-c", command],
        cwd=clone.folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert serving.stderr is not None
    try:
        events = (json.loads(line) for line in serving.stderr)
        ready = itertools.islice((event for event in events if event["event"] == "ready"), count)
        assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+/mcp", event["where"]) for event in ready)
    finally:
        os.killpg(serving.pid, signal.SIGTERM)
        serving.communicate(timeout=60)


def test_every_key_of_a_server_is_in_the_table(installed: tuple[Clone, CompletedProcess[str]]) -> None:
    schema = json.loads(installed[0].run(".venv/bin/mcp-orchestration-gateway schema").stdout)
    table = (DOCS / "servers.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert names_in(table) == set(schema["$defs"]["server"]["properties"])


def test_every_command_is_in_the_table(installed: tuple[Clone, CompletedProcess[str]]) -> None:
    said = installed[0].run(".venv/bin/mcp-gateway --help").stdout
    table = (DOCS / "command-line.md").read_text(encoding="utf-8")
    names = re.findall(r"^  (\w+) ", said, re.MULTILINE)
    assert {"serve", "servers", "pins", "approve"} <= set(names)
    first_cells = "\n".join(row.split(" | ")[0] for row in table.splitlines() if row.startswith("| `"))
    for name in names:
        assert re.search(rf"`{name}\b", first_cells), name


def test_the_sample_configuration_is_right(installed: tuple[Clone, CompletedProcess[str]]) -> None:
    assert "all is well: 2 servers" in installed[0].run(".venv/bin/mcp-orchestration-gateway check").stdout


def test_ci_runs_the_test_command_of_the_page() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert any(line.strip() == TEST for line in lines)


def test_the_session_of_the_page_is_the_recorded_one() -> None:
    (shown,) = re.findall(r"^```text\n(\$ mcp-gateway init\n.*?)^```", README, re.DOTALL | re.MULTILINE)
    recorded = iter((DOCS / "first-minute.md").read_text(encoding="utf-8").splitlines())
    missing = [line for line in shown.splitlines() if line not in ("…", "") and line not in recorded]
    assert missing == [], "each line is there, in this order"


def test_the_core_alone_starts_and_says_what_to_install(clone: Clone) -> None:
    clone.run("python3 -m venv alone && alone/bin/pip install -q ./core")
    refused = clone.run("! alone/bin/python -m mcp_gateway.main plugins").stderr
    assert "without the distribution mcp-gateway-cli it takes no arguments" in refused
    clone.run("alone/bin/pip install -q ./plugins/cli")
    said = clone.run("alone/bin/mcp-orchestration-gateway plugins").stdout
    default = "install mcp-orchestration-gateway from where you have the core"
    assert said == f"no plugins are installed; for the default ones: {default}\n"
    served = clone.run("! alone/bin/mcp-orchestration-gateway < /dev/null").stderr
    assert "no server transport is called 'stdio'; installed: none" in served
    assert "install mcp-gateway-transport-stdio from where you have the gateway" in served


def test_the_lowest_versions_that_are_tested_are_those_that_are_declared() -> None:
    declared: dict[str, set[str]] = {}
    for path in [ROOT, ROOT / "core", *(ROOT / "plugins").iterdir(), ROOT / "tests" / "kit"]:
        if (path / "pyproject.toml").exists():
            project = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            optional = project.get("optional-dependencies", {})
            # What the meta package brings of the core's own extras is tested like the rest.
            for requirement in [*project["dependencies"], *optional.get("yaml", [])]:
                name, version = re.fullmatch(r"([\w.-]+)(?:\[.*\])?>=([\w.]+).*", requirement).groups()  # type: ignore[union-attr]
                if not name.startswith("mcp-gateway-"):
                    declared.setdefault(name, set()).add(version)
    tested = dict(line.split("==") for line in (ROOT / "tests" / "lowest.txt").read_text().splitlines() if "==" in line)

    def full(version: str) -> list[str]:
        return [*version.split("."), "0", "0"][:3]

    assert {name: [full(version) for version in versions] for name, versions in declared.items()} == {
        name: [full(version)] for name, version in tested.items()
    }
