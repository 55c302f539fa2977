"""Values from outside of the file of servers, which change, fail and come back while the gateway runs."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import anyio
import pytest
from structlog.testing import capture_logs

from mcp_gateway.app import open_gateway
from mcp_gateway.config.settings import read_settings
from mcp_gateway.discovery.file_watcher import watch_files
from mcp_gateway.plugin import GatewayError, VariableError, VariableSource

from ..support.fake_plugins import everything, plugin, providers_of
from ..support.fake_servers import WAIT_SECONDS, Remote, tool, until
from ..support.gateway import read

LOCKED = "the vault is locked; unlock it"


@dataclass
class Vault:
    """A source whose values are in memory, and which can be locked."""

    path: object
    values: dict = field(default_factory=dict)
    is_locked: bool = False
    asked: int = 0

    def read(self, key):
        self.asked += 1
        if self.is_locked:
            raise VariableError(LOCKED)
        return self.values.get(key)

    def write(self, key, value):
        self.values[key] = value
        self.path.write_text(f"{len(self.values)} {self.asked} {value}")

    @property
    def source(self):
        return VariableSource(
            name="vault",
            summary="",
            read=self.read,
            explain_missing=lambda key: f"write {key}",
            find_file=lambda: self.path,
        )


class Following:
    """A gateway that follows its file, whose server says in its description what it was given."""

    def __init__(self, folder, providers, opened):
        self.folder, self.providers, self.opened = folder, providers, opened

    @property
    def registry(self):
        return self.opened.gateway.registry

    def describe(self, name="crm"):
        spec = self.registry.specs.get(name)
        return spec.description if spec else self.registry.states[name].reason

    def want(self, name="crm"):
        with suppress(GatewayError):
            self.opened.gateway.resolver.server(name)

    def read_again(self):
        return read(self.folder, (self.folder / "server_config.json").read_text(), self.providers)


def entry(description, name="crm"):
    return {"transport": "memory", "timeout": WAIT_SECONDS, "name": name, "description": description}


@asynccontextmanager
async def following(folder, vault, *entries, source=None, seconds=WAIT_SECONDS):
    remotes = {one["name"]: Remote(tool("one")) for one in entries} | {"more": Remote(tool("two"))}
    providers = providers_of(everything(remotes), plugin(variable_sources=[source or vault.source]))
    providers = replace(providers, variable_sources=replace(providers.variable_sources, seconds=seconds))
    servers = read(folder, {"servers": entries}, providers)
    async with anyio.create_task_group() as tasks, open_gateway(read_settings({}, providers), servers) as opened:
        made = Following(folder, providers, opened)
        tasks.start_soon(opened.reloading.follow, folder / "server_config.json", 0.01, made.read_again, servers)
        with anyio.fail_after(6 * WAIT_SECONDS), capture_logs() as made.logs:
            await anyio.sleep(0.1)  # until the first look at the files
            yield made
        tasks.cancel_scope.cancel()


@pytest.fixture
def vault(tmp_path):
    return Vault(tmp_path / "vault.txt", {"key": "one"})


async def test_a_value_that_is_replaced_reaches_its_server_and_no_other(tmp_path, vault):
    async with following(tmp_path, vault, entry("${vault:key}"), entry("plain", "other")) as running:
        other = running.registry.specs["other"]
        vault.write("key", "two")
        await until(lambda: running.describe() == "two")
        assert running.registry.specs["other"] is other


async def test_a_missing_value_that_is_written_makes_its_server_usable(tmp_path, vault):
    async with following(tmp_path, vault, entry("${vault:new}")) as running:
        assert running.describe() == "${vault:new}: there is no such variable; write new"
        vault.write("new", "here")
        await until(lambda: running.describe() == "here")


async def test_a_file_that_an_entry_reads_is_followed_and_may_be_missing(tmp_path, vault):
    async with following(tmp_path, vault, entry("${file:token.txt}")) as running:
        assert "there is no such file" in running.describe()
        for content in ("one", "two"):
            (tmp_path / "token.txt").write_text(content)
            await until(lambda content=content: running.describe() == content)


async def test_a_source_that_fails_later_takes_no_server_away(tmp_path, vault):
    """A keyring that locks itself with the screen, while somebody adds a server."""
    async with following(tmp_path, vault, entry("${vault:key}")) as running:
        before = running.registry.specs["crm"]
        vault.is_locked = True
        read(tmp_path, {"servers": [entry("${vault:key}"), entry("${vault:other}", "more")]}, running.providers)
        await until(lambda: "more" in dict(running.registry.states.items()))
        assert running.registry.specs == {"crm": before}
        assert running.describe("more") == f"${{vault:other}}: {LOCKED}"
        reasons = [log["reason"] for log in running.logs if log["event"] == "configuration warning"]
        assert f"{LOCKED}; until then servers keep the values that they have" in reasons


BROKEN = '{"servers": [\n  {"name": }\n]}'


async def test_a_file_that_breaks_is_told_until_it_is_whole_again(tmp_path, vault):
    """The words are in one line, without the picture of the place."""
    async with following(tmp_path, vault, entry("plain")) as running:
        before = running.registry.specs
        for text, said in ((BROKEN, "line 2"), (None, "the file cannot be read"), (BROKEN, "line 2")):
            file = tmp_path / "server_config.json"
            file.unlink() if text is None else file.write_text(text)
            await until(lambda said=said: said in running.registry.config_problem)
            assert "\n" not in running.registry.config_problem
            assert running.registry.specs is before
        reasons = [log["reason"] for log in running.logs if log["event"] == "configuration reload failed"]
        assert (len(reasons), reasons[-1]) == (3, running.registry.config_problem)
        read(tmp_path, {"servers": [entry("plain"), entry("two", "more")]}, running.providers)
        await until(lambda: "more" in running.registry.specs)
        assert running.registry.config_problem == ""


async def test_a_value_that_is_gone_is_not_kept(tmp_path, vault):
    async with following(tmp_path, vault, entry("${vault:key}")) as running:
        del vault.values["key"]
        vault.write("unrelated", "x")
        await until(lambda: "crm" not in running.registry.specs)
        vault.is_locked = True
        vault.write("unrelated", "y")
        await until(lambda: running.describe() == f"${{vault:key}}: {LOCKED}")


async def test_a_source_that_could_not_answer_is_asked_again_when_its_server_is_wanted(tmp_path, vault):
    vault.is_locked = True
    async with following(tmp_path, vault, entry("${vault:key}")) as running:
        assert running.describe() == f"${{vault:key}}: {LOCKED}"
        await anyio.sleep(0.1)
        assert vault.asked == 1  # a question may show a window that asks for a password
        vault.is_locked = False
        running.want()
        await until(lambda: running.describe() == "one")
        asked = vault.asked
        running.want()
        await anyio.sleep(0.1)
        assert vault.asked == asked


async def test_an_answer_that_comes_late_counts(tmp_path, vault):
    """A person takes a minute to type the password of the keyring."""
    unlocked = threading.Event()
    slow = replace(vault.source, read=lambda key: vault.read(key) if unlocked.wait(60) else None)
    async with following(tmp_path, vault, entry("${vault:key}"), source=slow, seconds=0.05) as running:
        assert "'vault' has not answered within 0.05 s" in running.describe()
        unlocked.set()
        await until(lambda: running.describe() == "one")


async def test_a_late_refusal_asks_nobody_again(tmp_path, vault):
    refused = threading.Event()

    def refuse(_):
        vault.asked += 1
        refused.wait(60)
        raise VariableError(LOCKED)

    slow = replace(vault.source, read=refuse)
    async with following(tmp_path, vault, entry("${vault:key}"), source=slow, seconds=0.05):
        refused.set()
        await anyio.sleep(0.1)
        assert vault.asked == 1


async def test_a_server_that_is_off_for_another_reason_reads_nothing_again(tmp_path, vault):
    async with following(tmp_path, vault, entry("${vault:key}"), {"name": "off", "transport": "none"}) as running:
        running.want("off")
        await anyio.sleep(0.1)
        assert vault.asked == 1


async def test_a_file_that_is_followed_only_now_is_no_change(tmp_path):
    files, seen = [tmp_path / "one"], []
    for name in ("one", "two"):
        (tmp_path / name).write_text("1")

    async def watch():
        async for digests in watch_files(lambda: files, 0.01):
            seen.append([path.name for path in digests])  # noqa: PERF401  # it never ends

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await anyio.sleep(0.05)
        files.append(tmp_path / "two")
        await anyio.sleep(0.05)
        assert seen == []
        (tmp_path / "two").write_text("2")
        await until(lambda: seen == [["one", "two"]])
        tasks.cancel_scope.cancel()
