"""Lists that are odd or break off: what came is served, what is missing is said, over every transport and era."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .support.gateways import HERE, Launcher
from .support.raw_clients import HttpClient, Json

SERVER = str(HERE / "servers" / "lists.py")
SECONDS = 6
WHOLE, FIRST = (5, 4), (3, 4)
"""How many tools and prompts there are: all, and those of the first page of tools."""
ENDS = "it does not end: it is cut after page "
SILENT = (
    f'no answer within {SECONDS / 2:g} s, half of {SECONDS} s (its "timeout"); '
    'raise that, or set its "list_timeout", if it needs longer'
)
AFTER = "what follows page 1 is missing: "
DEEP = "'deep' is left out: it is nested more than 124 levels deep"

ODD: dict[str, tuple[tuple[int, int], str]] = {
    "none:": (WHOLE, ""),
    "tools:empty": (WHOLE, ""),
    "tools:last": (FIRST, ""),
    "tools:number": (WHOLE, ""),
    "tools:same": (FIRST, f"tools/list: {ENDS}2"),
    "tools:fresh": (FIRST, f"tools/list: {ENDS}21"),
    "tools:digits": (FIRST, "tools/list: what follows page 1 is missing: its cursor cannot be read"),
    "tools:error": (FIRST, f"tools/list: {AFTER}invalid cursor"),
    "tools:refused": (FIRST, f"tools/list: {AFTER}"),
    "tools:never": (FIRST, f"tools/list: {AFTER}{SILENT}"),
    "tools:end": (FIRST, f"tools/list: {AFTER}"),
    "tools:deep50": ((5, 4), ""),
    "tools:deep120": ((4, 4), f"tools/list: {DEEP}"),
    "tools:deep1000": ((4, 4), f"tools/list: {DEEP}"),
    "tools:huge": ((4, 4), "tools/list: 'huge' is left out: it cannot be read: "),
    "prompts:number": (WHOLE, ""),
    "prompts:same": ((5, 2), f"prompts/list: {ENDS}2"),
    "prompts:error": ((5, 2), f"prompts/list: {AFTER}invalid cursor"),
    "prompts:refused": ((5, 2), f"prompts/list: {AFTER}"),
    "prompts:never": ((5, 2), f"prompts/list: {AFTER}{SILENT}"),
    "prompts:end": ((5, 2), f"prompts/list: {AFTER}"),
    "prompts:at-once": ((5, 0), "prompts/list: "),
}
"""By oddity: how many tools and prompts are served, and what is said to be missing."""

ON_PIPES = (
    "tools:number",
    "tools:error",
    "tools:never",
    "tools:end",
    "tools:deep1000",
    "prompts:end",
    "prompts:at-once",
)
"""Those whose servers are processes, too; of the others the transport sees nothing."""
CELLS = [
    (f"{over}-{era}", oddity)
    for over in ("http", "stdio")
    for era in ("handshake", "modern")
    for oddity in ODD
    if over == "http" or oddity in ON_PIPES
]


def name_of(wire: str, oddity: str) -> str:
    return f"{wire}-{oddity.strip(':').replace(':', '-')}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with ExitStack() as stack:
        yield Launcher(tmp_path_factory.mktemp("lists"), stack)


@pytest.fixture(scope="module")
def config(shared: Launcher) -> Path:
    process = shared.start([sys.executable, SERVER, "http"], dict(os.environ))
    assert process.popen.stdout is not None
    base = f"http://127.0.0.1:{process.popen.stdout.readline().strip()}"
    entries: list[Json] = []
    for wire, oddity in CELLS:
        over, era = wire.split("-")
        where: Json = {"url": f"{base}/{era}/{oddity}"}
        if over == "stdio":
            where = {"command": sys.executable, "args": [SERVER, over, era, oddity]}
        entries.append({"name": name_of(wire, oddity), **where, "timeout": SECONDS, "expose_tools": True})
    return shared.config(*entries)


@pytest.fixture(scope="module")
def trials(shared: Launcher, config: Path) -> dict[str, Json]:
    found = shared.run("check", "--connect", "--json", config=config, timeout=100)
    return {trial["server"]: trial for trial in json.loads(found.stdout)["trials"]}


@pytest.fixture(scope="module")
def client(shared: Launcher, config: Path) -> HttpClient:
    return HttpClient(shared.start_http(config).url, modern=True)


@pytest.mark.parametrize("wire, oddity", CELLS, ids=map(name_of, *zip(*CELLS, strict=True)))
def test_a_check_that_connects_counts_and_says_it(trials: dict[str, Json], wire: str, oddity: str) -> None:
    (tools, _), missing = ODD[oddity]
    name = name_of(wire, oddity)
    trial = trials[name]
    assert (trial["ok"], trial["tools"]) == (True, tools), trial
    assert [line.startswith(f"server {name!r}: {missing}") for line in trial["missing"]] == [True] * bool(missing)


def test_what_came_is_served(client: HttpClient) -> None:
    for cell in CELLS:
        called = client.call(f"{name_of(*cell)}__call")
        assert called.get("result", called).get("content") == [{"type": "text", "text": "called"}], called
    for kind, at in (("tools", 0), ("prompts", 1)):
        found = Counter(name.rpartition("__")[0] for name in list_all(client, kind))
        assert {name_of(*cell): found[name_of(*cell)] for cell in CELLS} == {
            name_of(*cell): ODD[cell[1]][0][at] for cell in CELLS
        }


def list_all(client: HttpClient, kind: str) -> list[str]:
    """Return the names on all pages of a list of the gateway's."""
    names: list[str] = []
    params: Json = {}
    while True:
        page = client.ask(f"{kind}/list", params)["result"]
        names += [definition["name"] for definition in page[kind]]
        if "nextCursor" not in page:
            return names
        params = {"cursor": page["nextCursor"]}
