"""The suite cannot tell the gateway from the server behind it: of either revision, over either transport."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product

import pytest

from ..e2e.support.gateways import Launcher
from ..e2e.support.raw_clients import HttpClient
from .support.differences import Leg, unexplained, worse
from .support.reference_servers import entry_of, start_reference_server
from .support.suite import HANDSHAKE, MODERN, Results, Suite, count
from .support.table import Table

LEAST = {HANDSHAKE: 84, MODERN: 152}
"""How many checks of each revision there are to pass."""
LEGS = [Leg(*which) for which in product(LEAST, LEAST, ("http", "stdio"))]


@pytest.fixture(scope="session")
def references(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Results]]:
    """What the suite finds at the reference server itself, by revision."""
    with ExitStack() as stack:
        url = start_reference_server(Launcher(tmp_path_factory.mktemp("reference"), stack))
        yield {revision: suite.judge_server(url, revision) for revision in LEAST}


@pytest.mark.parametrize("revision", LEAST)
def test_the_reference_passes_every_check(references: dict[str, Results], table: Table, revision: str) -> None:
    results = references[revision]
    table.add(f"the reference itself, {revision}", results)
    assert [(name, outcome) for name, outcome in results.items() if outcome.complained] == []
    assert count(results)["SUCCESS"] >= LEAST[revision]


@pytest.mark.parametrize("leg", LEGS, ids=str)
def test_the_gateway_passes_what_the_reference_passes(
    launcher: Launcher, suite: Suite, references: dict[str, Results], table: Table, leg: Leg
) -> None:
    server = entry_of(launcher, leg.server, leg.transport)
    config = launcher.config({"name": "reference", "namespace": None, "expose_tools": True, **server})
    url = launcher.start_http(config).url
    if leg.client == MODERN:
        warm_up(url)
    results = suite.judge_server(url, leg.client)
    table.add(str(leg), results)
    lines = unexplained(leg, worse(references[leg.client], results))
    assert not lines, "\n".join([str(leg), *lines])


def warm_up(url: str) -> None:
    """Have the gateway start what it keeps for a client that can be asked: one check waits for half a second only."""
    client = HttpClient(url, modern=True, capabilities={"elicitation": {}})
    assert "result" in client.call("test_simple_text")
