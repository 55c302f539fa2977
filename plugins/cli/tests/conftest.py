"""A gateway in memory, as the tests of the core have it, and the command line on top."""

from __future__ import annotations

import pytest
from mcp_gateway_cli.main import main

from core.tests.conftest import (
    _nothing_from_outside,
    _silent_log,
    anyio_backend,
    gateway,
    install,
    installed,
    remote,
    servers,
)

__all__ = [
    "_nothing_from_outside",
    "_silent_log",
    "anyio_backend",
    "gateway",
    "install",
    "installed",
    "remote",
    "servers",
]
"""Fixtures that stand in the core's conftest.py."""


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """Leave logging alone: it is set up once a process."""
    monkeypatch.setattr("mcp_gateway.runtime.logging.configure_logging", lambda _: None)


@pytest.fixture
def run(capsys):
    """Run a command; return exit code, standard output and standard error."""

    def run_command(*arguments):
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_command
