"""Runs a published client at a gateway, and says what worked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..bench.environments import NodeEnvironment, Unavailable
from ..e2e.support.gateways import GATEWAY, HttpGateway, Launcher
from .client_programs import (
    ABILITIES,
    BRIDGE,
    FOUND,
    INSPECTOR,
    LIST,
    NATIVE,
    PROGRAMS,
    PROMPTS,
    REMOTE,
    RESOURCES,
    SEARCH,
    ClientProgram,
)
from .clients import CLIENTS, PAGE
from .scripted_model import ScriptedModel, Step, serve_model

Json = dict[str, Any]
SECONDS = 240
"""How long a client may take: frameworks take many seconds to import."""

TOOL, SUM = "everything__get-sum", {"a": 2, "b": 3}
PROMPT = ("everything__args-prompt", {"city": "Oslo"})
RESOURCE = "demo://resource/static/document/architecture.md"
SCRIPT = (
    Step("tool_search", {"query": "add two numbers"}),
    Step("call_remote_tool", {"tool_name": TOOL, "arguments": SUM}),
    Step("odd__good", {}),
    Step(TOOL, SUM),  # the last one, since some frameworks end at a tool that was not listed
)
ANSWER = "sum of 2 and 3 is 5"
LISTED = {"tool_search", "discover_tools", "call_remote_tool", "odd_good"}
"""As frameworks write them: some replace what is no letter."""

SILENCE = {
    "ANONYMIZED_TELEMETRY": "false",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MCP_USE_ANONYMIZED_TELEMETRY": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "true",
}
"""Frameworks tell their makers nothing of the tests."""

ODD_SERVER = Path(__file__).parents[1] / "e2e" / "servers" / "odd.py"
PEER = NodeEnvironment("everything", "@modelcontextprotocol/server-everything@latest")
ODD_LISTS: Json = {
    "tools/list": [
        {"name": "good", "description": "A good tool", "inputSchema": {"type": "object", "properties": {}}},
        {"name": "null-title", "title": None, "description": None, "inputSchema": {"type": "object"}},
        {"name": "boolean-schema", "inputSchema": {"type": "object", "properties": {"any": True}}},
        {"name": "no-schema"},
        {"name": "odd-annotations", "annotations": "none", "inputSchema": {"type": "object", "properties": {}}},
        {"inputSchema": {"type": "object"}},
    ],
    "prompts/list": [
        {"name": "odd", "description": "An odd prompt", "arguments": None},
        {"description": "without a name"},
    ],
    "resources/list": [{"uri": "odd://1", "name": None, "size": "big"}, {"name": "without a URI"}],
}


@dataclass(frozen=True)
class Outcome:
    """What a client listed, what its calls gave, and how it ended."""

    tools: frozenset[str] = frozenset()
    results: Sequence[str] = ()
    report: Json = field(default_factory=dict)
    error: str = ""

    def abilities(self) -> frozenset[str]:
        """Return what worked."""
        results = [*self.results, *[""] * len(SCRIPT)]
        worked = {
            LIST: {re.sub(r"[^a-z]+", "_", name) for name in self.tools} >= LISTED,
            SEARCH: TOOL in results[0],
            REMOTE: ANSWER in results[1],
            NATIVE: "called good" in results[2],
            FOUND: ANSWER in results[3],
            PROMPTS: "Oslo" in self.report.get("prompt", ""),
            RESOURCES: "rchitecture" in self.report.get("resource", ""),
        }
        return frozenset(ability for ability in ABILITIES if worked[ability])


@dataclass(frozen=True)
class Place:
    """A gateway with an odd server behind it, over HTTP, and how to start one over stdio."""

    launcher: Launcher
    config: Path
    gateway: HttpGateway

    def target(self, client: ClientProgram, over: str) -> Json:
        """Return how a client is told to reach the gateway."""
        if client.package is BRIDGE:
            module = str(BRIDGE.module("dist", "proxy.js"))
            return {"command": BRIDGE.node(), "args": [module, self.gateway.url, "--allow-http"]}
        if over == "http":
            return {"url": self.gateway.url}
        variables = self.launcher.environment(self.config)
        ours = {name: value for name, value in variables.items() if name.startswith(("GATEWAY_", "SERVER_"))}
        return {"command": GATEWAY, "args": [], "env": ours}


@contextmanager
def open_place(peer: Sequence[str], folder: Path) -> Iterator[Place]:
    """Start a gateway with npm's server-everything, started by `peer`, and an odd server."""
    with ExitStack() as stack:
        launcher = Launcher(folder, stack)
        odd = folder / "odd.json"
        odd.write_text(json.dumps(ODD_LISTS), encoding="utf-8")
        config = launcher.config(
            {"name": "everything", "command": peer[0], "args": [*peer[1:], "stdio"]},
            {"name": "odd", "command": sys.executable, "args": [str(ODD_SERVER), str(odd)], "expose_tools": True},
        )
        yield Place(launcher, config, launcher.start_http(config))


def try_client(place: Place, client: ClientProgram, over: str, command: Sequence[str], **settings: Any) -> Outcome:
    """Run a client, and return what it saw."""
    # smolagents refuses calls without an argument that is optional.
    model = ScriptedModel(SCRIPT, gives_all=client.name == "smolagents")
    with serve_model(model) as url:
        script = [{"tool": step.tool, "arguments": step.arguments} for step in SCRIPT]
        asked = {"model": url, "prompt": PROMPT, "resource": RESOURCE, "script": script}
        try:
            done = _run([*command, json.dumps({**asked, **settings, **place.target(client, over)})], place)
        except subprocess.TimeoutExpired:
            return Outcome(frozenset(model.tools), model.results, error=f"not done after {SECONDS} s")
    report = _report_in(done.stdout)
    error = done.stderr.strip()[-1500:] if done.returncode else ""
    if client.is_agent:
        return Outcome(frozenset(model.tools), model.results, report, error)
    return Outcome(frozenset(report.get("tools", [])), report.get("results", []), report, error)


def _run(command: Sequence[str], place: Place) -> subprocess.CompletedProcess[str]:
    home = {"HOME": str(place.launcher.folder), "PYTHONPATH": str(PROGRAMS), "MCP_INSPECTOR_SECRET_STORE": "memory"}
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        cwd=place.launcher.folder,
        env={**os.environ, **SILENCE, **home},
        check=False,
    )


def _report_in(output: str) -> Json:
    """Return the report in what a program printed: frameworks print, too."""
    for line in output.splitlines():
        with suppress(ValueError):
            report = json.loads(line)
            if isinstance(report, dict) and "resource" in report:
                return report
    return {}


def run(names: Sequence[str]) -> int:
    """Try clients by name, or all; return 1 if one is not as expected."""
    chosen = [client for client in CLIENTS if not names or client.name in names]
    rows, wrong = [], 0
    with TemporaryDirectory() as folder:
        peer = [PEER.node(), str(PEER.module("dist", "index.js"))]
        with open_place(peer, Path(folder)) as place:
            for client in chosen:
                for over in client.transports:
                    row, is_right = _try_one(place, client, over)
                    rows.append(row)
                    wrong += not is_right
                    PAGE.write([row])
    print(f"{len(rows)} tried, {wrong} not as expected")
    return int(wrong > 0 or not rows)


def _try_one(place: Place, client: ClientProgram, over: str) -> tuple[list[str], bool]:
    """Return a row of the table, and whether it is as it should be."""
    more: Json = {}
    try:
        if client.package is INSPECTOR:
            more["inspector"] = [INSPECTOR.node(), str(INSPECTOR.module("clients", "cli", "build", "index.js"))]
        outcome, version = try_client(place, client, over, client.command(), **more), client.version()
    except Unavailable as error:
        print(f"{client.name} over {over}: {error}", flush=True)
        return [client.name, over, "?", *["not installed"] * len(ABILITIES)], False
    worked = outcome.abilities()
    wrong = sorted(worked ^ client.abilities)
    verdict = f"not as expected: {', '.join(wrong)} {outcome.error}" if wrong else "as expected"
    print(f"{client.name} {version} over {over}: {verdict}", flush=True)
    return row_of(client, over, version, worked), not wrong


def row_of(client: ClientProgram, over: str, version: str, worked: frozenset[str]) -> list[str]:
    """Return a row of the table."""
    no = {ability: "" if client.is_agent and ability in {PROMPTS, RESOURCES} else "no" for ability in ABILITIES}
    return [client.name, over, version, *("yes" if ability in worked else no[ability] for ability in ABILITIES)]
