"""What every test has: asyncio, and an environment and a folder of its own."""

from __future__ import annotations

import os
import sys
from functools import partial

import pytest
import structlog

from . import house


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _silent_log():
    """Keep the log off standard output; `structlog.testing.capture_logs` still sees it."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False)


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch, tmp_path):
    """Hide the variables and the files of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("GATEWAY_", "MCP_GATEWAY_")) or name in {
            "STORAGE_BACKEND",
            "SERVER_CONFIG_PATH",
            "REDIS_URL",
        }:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def read(tmp_path):
    return partial(house.read, tmp_path)


@pytest.fixture
def gateway(tmp_path):
    return partial(house.gateway, tmp_path)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution for one test; its modules are forgotten afterwards."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def installed(name, version="1.0.0", *, modules=None, **entry_points):
        for module in modules or {}:
            monkeypatch.delitem(sys.modules, module, raising=False)
        house.distribute(folder, name, version, modules=modules or {}, **entry_points)

    yield installed
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)
