"""The composition root: what is opened is closed, in reverse, and the log says nothing that it should not."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import asynccontextmanager

import anyio
import pytest

from mcp_gateway.app import open_gateway, serve
from mcp_gateway.config.settings import read_settings
from mcp_gateway.local_socket import listener
from mcp_gateway.plugin import ConfigError, Provider, StorageError

from .support.fake_plugins import MemoryStorage, Named, Saved, Static, WordRanker, plugin, provider, providers_of
from .support.fake_servers import Remote, ScriptedTransport, tool, until
from .support.gateway import read as read_file


def recording_provider(order, name, product, options=None):
    """Offer `product`, and note in `order` when it is opened and closed."""
    offered = provider(name, product, **({"options": options} if options else {}))

    @asynccontextmanager
    async def build(settled):
        async with offered.build(settled) as made:
            order.append(f"open {name}")
            yield made
            order.append(f"close {name}")

    return Provider(name=name, summary="", options=offered.options, build=build)


def recording_providers(order, **changes):
    parts = {
        "client_transports": [recording_provider(order, "http", lambda _: Remote(tool("x"), credentials=True), Named)],
        "server_transports": [recording_provider(order, "stdio", changes.get("server_transport"))],
        "auth_strategies": [recording_provider(order, "static", Static, Saved)],
        "rankers": [recording_provider(order, "bm25", WordRanker())],
        "storage_backends": [recording_provider(order, "memory", MemoryStorage())],
    }
    return providers_of(plugin(**parts))


ENTRY = {"name": "alpha", "transport": "http", "auth_type": "static", "auth_headers": {"X-Key": "k"}}


async def test_plugins_are_opened_in_order_and_closed_in_reverse(tmp_path):
    order = []
    providers = recording_providers(order)
    servers = read_file(tmp_path, {"servers": [ENTRY]}, providers)
    async with open_gateway(read_settings({}, providers), servers) as opened:
        await until(lambda: not opened.gateway.discovery.running)
        assert order == ["open memory", "open bm25", "open static", "open http"]
    assert order[4:] == ["close http", "close static", "close bm25", "close memory"]


async def test_every_session_is_closed_before_the_plugins_are(tmp_path):
    alpha = Remote(tool("x"))
    at_close = []

    @asynccontextmanager
    async def build(_):
        yield alpha
        at_close.append(alpha.open)

    offered = Provider(name="http", summary="", options=Named, build=build)
    providers = providers_of(
        plugin(
            client_transports=[offered],
            server_transports=[provider("stdio")],
            rankers=[provider("bm25", WordRanker())],
            storage_backends=[provider("memory", MemoryStorage())],
        )
    )
    servers = read_file(tmp_path, {"servers": [{"name": "alpha", "transport": "http"}]}, providers)
    async with open_gateway(read_settings({}, providers), servers):
        await until(lambda: alpha.open)
        await alpha.listing.wait()
    assert at_close == [0]


async def test_a_server_that_is_still_silent_does_not_hold_up_the_end(gateway):
    began = anyio.Event()

    def greeted(_):
        began.set()
        return anyio.sleep_forever()

    async with gateway({"alpha": ScriptedTransport({"server/discover": greeted, "initialize": ...})}):
        await began.wait()
        ending = anyio.current_time()
    assert anyio.current_time() - ending < 3


async def test_a_plugin_that_cannot_be_opened_ends_the_start_with_its_own_error(tmp_path):
    def fail(_):
        raise StorageError("no disk")

    providers = providers_of(
        plugin(
            server_transports=[provider("stdio")],
            rankers=[provider("bm25", WordRanker())],
            storage_backends=[provider("memory", fail)],
        )
    )
    with pytest.raises(StorageError, match="no disk"):
        async with open_gateway(read_settings({}, providers), read_file(tmp_path, {"servers": []}, providers)):
            pytest.fail("it must not open")


class ServingTransport:
    """A server transport that says where it is, and ends with `error` or at once."""

    def __init__(self, error=None):
        self._error = error

    async def serve(self, server, *, ready):
        ready("here")
        if self._error:
            raise self._error


async def test_serving_ends_when_the_client_leaves(tmp_path):
    order = []
    providers = recording_providers(order, server_transport=ServingTransport())
    servers = read_file(tmp_path, {"servers": [ENTRY]}, providers)
    with anyio.fail_after(10):
        await serve(read_settings({}, providers), servers)
    assert (order[0], order[-1]) == ("open stdio", "close stdio")


class WaitingTransport:
    """A server transport that serves until an event, and a moment longer."""

    def __init__(self):
        self.may_end, self.has_served = anyio.Event(), False

    async def serve(self, server, *, ready):
        ready("here")
        await self.may_end.wait()
        await anyio.wait_all_tasks_blocked()
        self.has_served = True


async def test_the_local_socket_is_closed_before_what_it_uses(tmp_path, monkeypatch):
    order, transport = [], WaitingTransport()

    @asynccontextmanager
    async def open_recorded(*_):
        transport.may_end.set()
        try:
            yield
        finally:
            order.append("close socket")

    monkeypatch.setattr(listener, "open_local_socket", open_recorded)
    providers = recording_providers(order, server_transport=transport)
    with anyio.fail_after(10):
        await serve(read_settings({}, providers), read_file(tmp_path, {"servers": [ENTRY]}, providers))
    ends = [step for step in order if step.startswith("close")]
    assert ends == ["close socket", "close http", "close static", "close bm25", "close memory", "close stdio"]


async def test_a_local_socket_that_fails_leaves_serving_alone(tmp_path, monkeypatch):
    transport = WaitingTransport()

    @asynccontextmanager
    async def open_broken(*_):
        transport.may_end.set()
        raise RuntimeError("unforeseen")
        yield

    monkeypatch.setattr(listener, "open_local_socket", open_broken)
    providers = recording_providers([], server_transport=transport)
    with anyio.fail_after(10):
        await serve(read_settings({}, providers), read_file(tmp_path, {"servers": [ENTRY]}, providers))
    assert transport.has_served


async def test_a_port_that_is_taken_is_one_plain_error(tmp_path):
    providers = recording_providers(
        [], server_transport=ServingTransport(ConfigError("port 8080 is taken; set GATEWAY_PORT"))
    )
    servers = read_file(tmp_path, {"servers": [ENTRY]}, providers)
    with pytest.raises(ConfigError, match="port 8080 is taken"), anyio.fail_after(10):
        await serve(read_settings({}, providers), servers)


def logged(code, **environ):
    """Set up logging as the gateway does, run `code` in a fresh interpreter, and return what it printed."""
    start = (
        "import logging, structlog\n"
        "from mcp_gateway.config.settings import read_environment\n"
        "from mcp_gateway.runtime.logging import configure_logging\n"
        f"configure_logging(read_environment({environ!r}))\n"
        "ours, theirs = structlog.get_logger('mcp_gateway.x'), logging.getLogger('httpx2')\n"
    )
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_of_the_log_is_json_on_standard_error():
    [line] = logged("ours.info('ready', where='here')")
    assert (line["event"], line["where"], line["level"]) == ("ready", "here", "info")
    assert "timestamp" in line


def test_fields_of_plugins_are_written_and_those_of_other_libraries_are_not():
    code = (
        "plugin = logging.getLogger('mcp_gateway_auth_x.vault')\n"
        "plugin.warning('login not stored', extra={'file': '/x', 'attempts': 2})\n"
        "theirs.warning('it failed', extra={'request': 's3cr3t'})\n"
    )
    [ours, theirs] = logged(code)
    assert (ours["event"], ours["file"], ours["attempts"]) == ("login not stored", "/x", 2)
    assert (theirs["event"], "request" in theirs) == ("it failed", False)


def test_the_log_begins_at_the_level_that_is_set():
    code = "ours.debug('a'); ours.info('b'); ours.warning('c'); ours.error('d')"
    assert [line["event"] for line in logged(code, GATEWAY_LOG_LEVEL="WARNING")] == ["c", "d"]
    assert len(logged(code, GATEWAY_LOG_LEVEL="debug")) == 4


def test_other_libraries_are_logged_from_warnings_up_and_without_the_tracebacks_that_hold_requests():
    code = (
        "theirs.info('GET /?key=s3cr3t')\n"
        "try: raise ValueError('s3cr3t')\n"
        "except ValueError: theirs.warning('it failed', exc_info=True)\n"
    )
    [line] = logged(code, GATEWAY_LOG_LEVEL="debug")
    assert (line["event"], line["logger"]) == ("it failed", "httpx2")
    assert "s3cr3t" not in json.dumps(line)
