"""Four published clients do at the gateway what they can, an odd server beside; tests/counterparts tries many more."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from ..counterparts.client_programs import PROGRAMS, copy_modules
from ..counterparts.client_runs import Place, open_place, try_client
from ..counterparts.clients import CLIENTS
from .support.programs import Programs

FOUR = ("Python SDK 1.x", "Python SDK 2.x", "TypeScript SDK 2.x", "Inspector")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    (folder / "node_modules").symlink_to(programs.modules)
    with open_place([programs.node, programs.script("server-everything")], folder) as opened:
        yield opened


@pytest.fixture
def commands(place: Place, programs: Programs, pythons: dict[str, str]) -> dict[str, list[str]]:
    """What runs each client: what is installed for the other tests."""
    paths = {client.name: str(PROGRAMS / client.path) for client in CLIENTS}
    return {
        "Python SDK 1.x": [pythons["mcp1"], paths["Python SDK 1.x"]],
        "Python SDK 2.x": [sys.executable, paths["Python SDK 2.x"]],
        "TypeScript SDK 2.x": [programs.node, copy_modules("clients/ts2.mjs", place.launcher.folder)],
        "Inspector": [sys.executable, paths["Inspector"]],
    }


# The Inspector starts a process for each request; test_clients.py tries it over stdio.
RUNS = [(name, over) for name in FOUR for over in ("stdio", "http") if (name, over) != ("Inspector", "stdio")]


@pytest.mark.parametrize("name, over", RUNS)
def test_a_published_client_lists_searches_and_calls(
    name: str, over: str, place: Place, commands: dict[str, list[str]], programs: Programs
) -> None:
    client = next(client for client in CLIENTS if client.name == name)
    inspector = [programs.node, programs.script("inspector", "clients/cli/build/index.js")]
    outcome = try_client(place, client, over, commands[name], inspector=inspector)
    assert (outcome.error, outcome.abilities()) == ("", client.abilities)
