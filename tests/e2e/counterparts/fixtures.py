"""Fixtures of the tests with counterparts; conftest.py imports them, so that all modules share what is started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ..support.gateways import until
from ..support.programs import Programs, install_python
from .gateways import CLIENTS, Town, Visit


@pytest.fixture(scope="session")
def pythons() -> dict[str, str]:
    """The interpreters of the environments that the client and server programs need."""
    return {
        "mcp1": install_python("mcp1", "mcp>=1.30,<2"),
        "mcp2": sys.executable,
        "fastmcp4": install_python("fastmcp4", "fastmcp>=4,<5"),
    }


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory, programs: Programs, pythons: dict[str, str]) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path_factory.mktemp("town"), stack, programs, pythons)


VISITS = {
    "stdio": ["mcp1", "mcp2-auto", "fastmcp4-auto"],
    "http": list(CLIENTS),
    "stdio-stdio": ["mcp1", "mcp2-auto"],
    "http-http": ["mcp1", "mcp2-auto"],
}


@pytest.fixture(
    scope="session", params=[f"{client} at {place}" for place, clients in VISITS.items() for client in clients]
)
def visit(request: pytest.FixtureRequest, town: Town) -> Iterator[Visit]:
    """A client of each kind at each place, that can answer whatever it is asked."""
    client, place = request.param.split(" at ")
    with ExitStack() as stack:
        visit = town.send(stack, client, place)
        able = visit.place.named("everything", "trigger-elicitation-request")
        until(lambda: able in visit.names(), "tools for able clients are listed")
        yield visit
