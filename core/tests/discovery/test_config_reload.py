"""The file of servers changes while the gateway runs: only what has changed is touched, and calls under way finish."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from mcp_gateway.app import open_gateway
from mcp_gateway.config.server_file import ServerFile
from mcp_gateway.config.settings import read_settings
from mcp_gateway.discovery.file_watcher import watch_files
from mcp_gateway.plugin import ANONYMOUS, ConfigError, PluginError, ServerUnavailable

from ..support.fake_plugins import MemoryStorage, everything, providers_of
from ..support.fake_servers import WAIT_SECONDS, Remote, text, tool, until
from ..support.gateway import ask, client, read, server_of


class ReloadingGateway:
    """A gateway over servers in memory, whose file can be written anew."""

    def __init__(self, folder, providers, opened):
        self.folder, self.providers, self.opened = folder, providers, opened

    async def write(self, *entries):
        await self.opened.reloading.apply(read(self.folder, file_of(entries), self.providers))

    @property
    def tool_counts(self):
        return {name: len(listing.tools) for name, listing in self.opened.gateway.registry.catalog.servers.items()}


def file_of(entries):
    return {"servers": [{"transport": "memory", "timeout": WAIT_SECONDS, **entry} for entry in entries]}


@asynccontextmanager
async def open_reloading_gateway(folder, remotes, *entries, **plugins):
    providers = providers_of(everything(remotes, **plugins))
    servers = read(folder, file_of(entries), providers)
    with anyio.fail_after(6 * WAIT_SECONDS):
        async with open_gateway(read_settings({}, providers), servers) as opened:
            yield ReloadingGateway(folder, providers, opened)


ALPHA, BETA = {"name": "alpha"}, {"name": "beta"}


async def test_a_server_that_is_added_is_found_and_called_and_the_others_keep_their_sessions(tmp_path):
    alpha, beta = Remote(tool("one")), Remote(tool("two"))
    beta.answers["two"] = text("two")
    async with open_reloading_gateway(tmp_path, {"alpha": alpha, "beta": beta}, ALPHA) as running:
        await until(lambda: running.tool_counts == {"alpha": 1})
        await running.write(BETA, ALPHA)
        await until(lambda: running.tool_counts == {"beta": 1, "alpha": 1})
        assert list(running.tool_counts) == ["beta", "alpha"]
        async with client(running.opened) as connection:
            assert (await ask(connection, "beta__two"))["content"][0]["text"] == "two"
    assert len(alpha.opened) == 1


async def test_a_server_that_is_removed_is_gone_at_once_and_its_sessions_end_after_their_calls(tmp_path):
    alpha, answered = Remote(tool("slow")), anyio.Event()

    async def slow(_):
        await answered.wait()
        return text("done")

    alpha.answers["slow"] = slow
    results = []
    async with open_reloading_gateway(tmp_path, {"alpha": alpha, "beta": Remote(tool("two"))}, ALPHA, BETA) as running:
        await until(lambda: running.tool_counts == {"alpha": 1, "beta": 1})
        async with client(running.opened) as connection, anyio.create_task_group() as tasks:

            async def call():
                results.append(await ask(connection, "alpha__slow"))

            tasks.start_soon(call)
            await until(lambda: alpha.calls)
            await running.write(BETA)
            assert running.tool_counts == {"beta": 1}
            assert (await ask(connection, "call_remote_tool", {"tool_name": "alpha__slow"}))["isError"]
            assert alpha.open
            answered.set()
        assert results[0]["content"][0]["text"] == "done"
        await until(lambda: not alpha.open)


async def test_a_server_that_is_changed_gets_a_new_session_and_its_tools_new_names(tmp_path):
    alpha = Remote(tool("one"))
    alpha.answers["one"] = text("one")
    async with open_reloading_gateway(tmp_path, {"alpha": alpha}, ALPHA) as running:
        await until(lambda: running.tool_counts)
        await running.write({**ALPHA, "namespace": "other"})
        async with client(running.opened) as connection:
            assert (await ask(connection, "other__one"))["content"][0]["text"] == "one"
        await until(lambda: alpha.open == 1)
    assert len(alpha.opened) == 2


class SlowStorage(MemoryStorage):
    """A storage backend that stores nothing until it is asked again, and then before it answers."""

    def __init__(self):
        super().__init__()
        self.is_asked_again = None

    async def set(self, key, value, *, ttl=None):
        if self.is_asked_again is None:
            self.is_asked_again = anyio.Event()
        await self.is_asked_again.wait()
        await super().set(key, value, ttl=ttl)

    async def get(self, key):
        if self.is_asked_again is not None:
            self.is_asked_again.set()
            for _ in range(100):
                await anyio.lowlevel.checkpoint()
        return await super().get(key)


async def test_a_listing_saved_after_its_server_was_changed_is_not_taken_for_the_one_in_force(tmp_path):
    alpha, storage = Remote(tool("one"), tool("two")), SlowStorage()
    async with open_reloading_gateway(tmp_path, {"alpha": alpha}, ALPHA, storage=storage) as running:
        await until(lambda: running.tool_counts == {"alpha": 2} and storage.is_asked_again)
        await running.write({**ALPHA, "tools": {"exclude": ["two"]}, "auto_discover": False})
        assert running.tool_counts == {"alpha": 1}
        await running.write(ALPHA)
        await until(lambda: running.tool_counts == {"alpha": 2})


async def test_a_file_that_says_the_same_changes_nothing(tmp_path):
    alpha = Remote(tool("one"))
    async with open_reloading_gateway(tmp_path, {"alpha": alpha}, ALPHA) as running:
        await until(lambda: running.tool_counts)
        before = running.opened.gateway.registry.specs["alpha"]
        await running.write(dict(reversed(ALPHA.items())))
        assert running.opened.gateway.registry.specs["alpha"] is before
    assert len(alpha.opened) == 1


@pytest.mark.parametrize("modern", [True, False])
async def test_clients_hear_that_the_gateways_own_tools_name_other_servers(tmp_path, modern):
    notifications = []
    async with (
        open_reloading_gateway(tmp_path, {"alpha": Remote(tool("one")), "beta": Remote(tool("two"))}, ALPHA) as running,
        client(running.opened, modern=modern, notifications=notifications) as connection,
    ):
        await until(lambda: running.tool_counts and (modern or server_of(running.opened)._clients.raw_client(None)))
        await connection.request("tools/list", {})
        await running.write(ALPHA, BETA)
        listed = await connection.request("tools/list", {})
        assert "beta" in listed["tools"][0]["description"]
        if not modern:
            await until(lambda: "notifications/tools/list_changed" in notifications)


async def test_a_plugin_that_does_not_open_leaves_all_as_it_was(tmp_path):
    alpha, beta = Remote(tool("one")), Remote(tool("two"))
    async with open_reloading_gateway(tmp_path, {"alpha": alpha, "beta": beta}, ALPHA) as running:
        await until(lambda: running.tool_counts)
        file = read(tmp_path, file_of([ALPHA, BETA]), running.providers)

        @asynccontextmanager
        async def broken():
            raise OSError("no")
            yield

        object.__setattr__(file.specs[1].client_transport, "open", broken)
        with pytest.raises(PluginError, match="does not open"):
            await running.opened.reloading.apply(file)
        assert list(running.opened.gateway.registry.specs) == ["alpha"]
        await running.opened.gateway.discover("alpha", ANONYMOUS)
    assert len(alpha.opened) == 1


async def test_what_was_configured_before_is_not_opened_again(tmp_path):
    async with open_reloading_gateway(tmp_path, {"alpha": Remote(tool("one"))}, ALPHA) as running:
        await until(lambda: running.tool_counts)
        before = running.opened.gateway.registry.specs["alpha"]
        await running.write()
        with pytest.raises(ServerUnavailable, match="just removed or changed"):
            await running.opened.gateway.discovery.discover(before, ANONYMOUS)
        assert running.tool_counts == {}


async def test_the_file_is_watched_and_one_that_is_broken_is_reported(tmp_path):
    remotes = {"alpha": Remote(tool("one")), "beta": Remote(tool("two"))}
    async with open_reloading_gateway(tmp_path, remotes, ALPHA) as running, anyio.create_task_group() as tasks:
        path = tmp_path / "server_config.json"

        def reread():
            if "broken" in path.read_text(encoding="utf-8"):
                raise ConfigError(f"{path}: it is broken")
            return read(tmp_path, path.read_text(encoding="utf-8"), running.providers)

        with capture_logs() as logs:
            tasks.start_soon(running.opened.reloading.follow, path, 0.01, reread, ServerFile())
            await until(lambda: running.tool_counts == {"alpha": 1})
            await anyio.sleep(0.05)
            path.write_text("broken")
            await until(lambda: any("it is broken" in log.get("reason", "") for log in logs))
            path.unlink()
            await until(lambda: any("cannot be read" in log.get("reason", "") for log in logs))
            assert running.tool_counts == {"alpha": 1}
            read(tmp_path, file_of([ALPHA, BETA]), running.providers)
            await until(lambda: running.tool_counts == {"alpha": 1, "beta": 1})
        tasks.cancel_scope.cancel()


async def test_a_symbolic_link_that_is_turned_is_a_change(tmp_path):
    """As Kubernetes changes a ConfigMap that is mounted."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "file").write_text(version)
    current, link = tmp_path / "current", tmp_path / "file"
    current.symlink_to("one")
    link.symlink_to("current/file")
    seen = []

    async def watch():
        async for digests in watch_files(lambda: [link], 0.01):
            seen.append(digests[link] is not None)  # noqa: PERF401  # it never ends

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await anyio.sleep(0.1)
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(current)
        await until(lambda: seen == [True])
        tasks.cancel_scope.cancel()
