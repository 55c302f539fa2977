"""What every test has: asyncio, and an environment and a folder of its own."""

from __future__ import annotations

import json
import logging
import os
import sys
from functools import partial

import pytest
import structlog

from .support import fake_plugins as plugins
from .support import gateway as support
from .support.fake_servers import Remote, tool


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _silent_log():
    """Keep the log off standard output; `structlog.testing.capture_logs` still sees it."""
    before = structlog.get_config()
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
    states = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    yield
    structlog.configure(**before)
    for logger, level, handlers in states:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch, tmp_path, tmp_path_factory):
    """Hide the variables, the files, the keyring and the running gateways of whoever runs the tests."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    runtime = tmp_path_factory.getbasetemp() / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    for name in list(os.environ):
        if name.startswith(("GATEWAY_", "MCP_GATEWAY_")) or name in {
            "STORAGE_BACKEND",
            "SERVER_CONFIG_PATH",
            "REDIS_URL",
        }:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def read(tmp_path):
    return partial(support.read, tmp_path)


@pytest.fixture
def gateway(tmp_path):
    return partial(support.gateway, tmp_path)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution for one test; its modules are forgotten afterwards."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def install_distribution(name, version="1.0.0", *, modules=None, **entry_points):
        for module in modules or {}:
            monkeypatch.delitem(sys.modules, module, raising=False)
        plugins.distribute(folder, name, version, modules=modules or {}, **entry_points)

    yield install_distribution
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


# -- an installed plugin


@pytest.fixture
def _log_is_ours():
    """Put back what `configure_logging` changes."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


@pytest.fixture
def remote():
    """Return the server in memory that the transport of the installed plugin leads to."""
    return Remote(tool("echo", "Say it back"))


@pytest.fixture
def installed(install, remote, monkeypatch):
    """Install one plugin with everything in it, and keep out all others."""
    monkeypatch.setattr(plugins, "INSTALLED", plugins.everything({"alpha": remote, "beta": remote}))
    install("all-plugins", "1.2.3", everything=f"{plugins.__name__}:INSTALLED")
    monkeypatch.setenv("GATEWAY_PLUGINS", "everything")


@pytest.fixture
def servers(tmp_path, installed):
    """Write the server file."""

    def write(*entries):
        (tmp_path / "server_config.json").write_text(json.dumps({"servers": list(entries)}), encoding="utf-8")

    return write
