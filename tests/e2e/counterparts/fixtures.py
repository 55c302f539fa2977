"""Fixtures of the tests with counterparts; conftest.py imports them, so that all modules share what is started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ..support.gateways import until
from ..support.programs import Programs, install_python
from .gateways import CLIENTS, ClientSession, Deployments


@pytest.fixture(scope="session")
def pythons() -> dict[str, str]:
    """The interpreters of the environments that the client and server programs need."""
    return {
        "mcp1": install_python("mcp1", "mcp>=1.30,<2"),
        "mcp2": sys.executable,
        "fastmcp4": install_python("fastmcp4", "fastmcp>=4,<5"),
    }


@pytest.fixture(scope="session")
def deployments(
    tmp_path_factory: pytest.TempPathFactory, programs: Programs, pythons: dict[str, str]
) -> Iterator[Deployments]:
    with ExitStack() as stack:
        yield Deployments(tmp_path_factory.mktemp("deployments"), stack, programs, pythons)


SESSIONS = {
    "stdio": ["mcp1", "mcp2-auto", "fastmcp4-auto"],
    "http": list(CLIENTS),
    "stdio-stdio": ["mcp1", "mcp2-auto"],
    "http-http": ["mcp1", "mcp2-auto"],
}


@pytest.fixture(
    scope="session",
    params=[f"{client} at {deployment}" for deployment, clients in SESSIONS.items() for client in clients],
)
def session(request: pytest.FixtureRequest, deployments: Deployments) -> Iterator[ClientSession]:
    """A client of each kind at each deployment, that can answer whatever it is asked."""
    client, deployment = request.param.split(" at ")
    with ExitStack() as stack:
        session = deployments.connect(stack, client, deployment)
        able = session.deployment.named("everything", "trigger-elicitation-request")
        until(lambda: able in session.names(), "tools for able clients are listed")
        yield session
