"""One odd definition takes nothing from a client: the official SDKs list the rest, beside all oddities at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .counterparts.clients import ANSWERS, start_client
from .counterparts.gateways import CLIENTS
from .support.gateways import GATEWAY, HERE, Launcher
from .support.programs import Programs

ODDITIES = HERE.parents[1] / "core" / "tests" / "catalog" / "repair" / "oddities.json"
"""What servers list, and what clients see of it: null if nothing."""

METHODS = {
    "tools": "tools/list",
    "prompts": "prompts/list",
    "resources": "resources/list",
    "templates": "resources/templates/list",
}
KEYS = {"tools": "name", "prompts": "name", "resources": "uri", "templates": "uriTemplate"}
GOOD: dict[str, Any] = {
    "tools": {"name": "fine", "inputSchema": {"type": "object", "properties": {"a": {"type": "string"}}}},
    "prompts": {"name": "fine"},
    "resources": {"uri": "fine://x", "name": "fine"},
    "templates": {"uriTemplate": "fine://{x}", "name": "fine"},
}
NAMELESS = [None, "text", [], {}, {"name": 7}, {"name": None}, {"name": ""}]
BUILTIN = ["tool_search", "discover_tools", "call_remote_tool"]


def configure(launcher: Launcher) -> Path:
    """Configure a server of all oddities, and one without any."""
    rows = json.loads(ODDITIES.read_text(encoding="utf-8"))
    entries = []
    for server, odd in (("odd", True), ("good", False)):
        lists = {
            method: [*(row["given"] for row in rows if odd and row["primitive"] == kind), *(NAMELESS if odd else [])]
            for kind, method in METHODS.items()
        }
        for kind, method in METHODS.items():
            key = KEYS[kind]
            lists[method].append({**GOOD[kind], key: GOOD[kind][key].replace("://", f"-{server}://")})
        file = launcher.folder / f"{server}.json"
        file.write_text(json.dumps(lists), encoding="utf-8")
        command = [str(HERE / "servers" / "odd.py"), str(file)]
        entries.append({"name": server, "command": sys.executable, "args": command, "expose_tools": True})
    return launcher.config(*entries)


def names_of(kind: str) -> list[str]:
    """Return the names of what clients see of one primitive."""
    rows = json.loads(ODDITIES.read_text(encoding="utf-8"))
    odd = [row["shown"][KEYS[kind]] for row in rows if row["primitive"] == kind and row["shown"] is not None]
    if kind in ("tools", "prompts"):
        own = BUILTIN if kind == "tools" else []
        return [*own, *(f"odd__{name}" for name in odd), "odd__fine", "good__fine"]
    return [*odd, *(GOOD[kind][KEYS[kind]].replace("://", f"-{server}://") for server in ("odd", "good"))]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Launcher, Path]]:
    with ExitStack() as stack:
        launcher = Launcher(tmp_path_factory.mktemp("odd"), stack)
        yield launcher, configure(launcher)


@pytest.fixture(scope="module")
def url(place: tuple[Launcher, Path]) -> str:
    launcher, config = place
    return launcher.start_http(config).url


@pytest.mark.parametrize("over", ["stdio", "http"])
def test_the_typescript_sdks_see_all_good_definitions_beside_all_oddities(
    over: str, url: str, place: tuple[Launcher, Path], programs: Programs
) -> None:
    launcher, config = place
    if over == "http":
        target: dict[str, Any] = {"url": url}
    else:
        target = {"command": GATEWAY, "env": {**launcher.environment(config), "GATEWAY_TRANSPORT": "stdio"}}
    # A row that is never shown: its call still reaches the server.
    left_out = next(row for row in json.loads(ODDITIES.read_text(encoding="utf-8")) if row["shown"] is None)
    called = left_out["given"]["name"]
    script = HERE / "node" / "list_all.mjs"
    done = subprocess.run(
        [programs.node, script, json.dumps(target), f"odd__{called}"],
        env=dict(os.environ),
        cwd=launcher.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert list(seen) == ["sdk 1", "sdk 2, handshake", "sdk 2, modern"]
    for client, lists in seen.items():
        assert "error" not in lists, (client, lists["error"])
        for kind, key in KEYS.items():
            assert [item[key] for item in lists[kind]] == names_of(kind), client
        assert lists["called"]["content"] == [{"type": "text", "text": f"called {called}"}]


@pytest.mark.parametrize("kind", ["mcp1", "mcp2-auto", "fastmcp4-auto"])
def test_python_clients_see_all_good_definitions_beside_all_oddities(
    kind: str, url: str, pythons: dict[str, str], tmp_path: Path
) -> None:
    program, mode, version = CLIENTS[kind]
    with ExitStack() as stack:
        client = start_client(stack, tmp_path, pythons[program], program, target=url, mode=mode, answers=ANSWERS)
        assert client.handshake_result[0] == version
        for primitive, key in KEYS.items():
            listed = client.run(primitive)
            field = "resourceTemplates" if primitive == "templates" else primitive
            assert [item[key] for item in listed[field]] == names_of(primitive)


def test_what_is_left_out_is_named_and_everything_else_is_counted(place: tuple[Launcher, Path]) -> None:
    launcher, config = place
    done = launcher.run("check", "--connect", "--json", config=config)
    found = json.loads(done.stdout)
    counts = {trial["server"]: trial["tools"] for trial in found["trials"]}
    wanted = sum(name.startswith("odd__") for name in names_of("tools"))
    assert (done.returncode, found["ok"], counts) == (0, True, {"odd": wanted, "good": 1})
    rows = json.loads(ODDITIES.read_text(encoding="utf-8"))
    gone = [row["given"][KEYS[row["primitive"]]] for row in rows if row["shown"] is None]
    assert len(gone) > 5
    for name in gone:
        assert any(f"{name!r} is left out: its " in warning for warning in found["warnings"]), name
