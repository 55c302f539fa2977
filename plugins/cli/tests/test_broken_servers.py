"""Commands beside servers that do not start."""

from __future__ import annotations

import json
import time

import anyio
import pytest

from core.tests.support import fake_plugins as plugins
from core.tests.support.fake_servers import Remote, SlowServer, tool

GONE = "for the reasons: mcp-orchestration-gateway servers --start"


@pytest.fixture
def gone():
    remote = Remote()
    remote.refusal = OSError("no route")
    return remote


@pytest.fixture
def start(monkeypatch, servers, remote, gone):
    """Configure `alpha`, which works, and others beside it."""

    def write(**others):
        found = {"alpha": remote, "gone": gone, "silent": SlowServer(tool("echo")), **others}
        monkeypatch.setattr(plugins, "INSTALLED", plugins.everything(found))
        servers(*({"name": name, "transport": "memory"} for name in found))

    write()
    return write


@pytest.mark.parametrize("verb", ["describe", "call"])
def test_a_short_name_is_answered_as_soon_as_its_namesake_is_known(run, start, monkeypatch, verb):
    monkeypatch.setattr("mcp_gateway.control.local_client.SUGGESTION_SECONDS", 1000.0)
    monkeypatch.setattr("mcp_gateway.control.local_client.NAMESAKE_SECONDS", 0.1)
    code, out, err = run(verb, "echo")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "'echo' is not a tool's full name" in err
    assert "did you mean 'alpha__echo'?" in err


class LateServer(Remote):
    """A server that starts once another has been listed."""

    def __init__(self, first, *tools):
        super().__init__(*tools)
        self.first = first

    async def _serve(self, streams):
        await self.first.listing.wait()
        await super()._serve(streams)


@pytest.fixture
def start_late(monkeypatch, servers, remote):
    """Configure `alpha`, and servers that start after it."""

    def write(count):
        monkeypatch.setattr("mcp_gateway.control.local_client.NAMESAKE_SECONDS", 60.0)
        monkeypatch.setattr("mcp_gateway.control.local_client.SUGGESTION_SECONDS", 60.0)
        late = {f"s{number}": LateServer(remote, tool("echo")) for number in range(1, count + 1)}
        found = {"alpha": remote, **late}
        monkeypatch.setattr(plugins, "INSTALLED", plugins.everything(found))
        servers(*({"name": name, "transport": "memory"} for name in found))

    return write


@pytest.mark.parametrize("verb", ["describe", "call"])
@pytest.mark.parametrize(
    "count, said",
    [
        (1, "did you mean 'alpha__echo' or 's1__echo'? find names"),
        (2, "did you mean 'alpha__echo' or 's1__echo' or 's2__echo'? find names"),
        (4, "did you mean 'alpha__echo' or 's1__echo' or 's2__echo'? (2 more have that name) find names"),
    ],
)
def test_a_short_name_that_several_have_is_answered_with_all_of_them(run, start_late, verb, count, said):
    start_late(count)
    code, out, err = run(verb, "echo")
    assert (code, out, said in err) == (1, "", True), err


@pytest.mark.parametrize("verb", ["describe", "call"])
def test_a_name_like_no_other_waits_a_moment_only(run, start, monkeypatch, verb):
    monkeypatch.setattr("mcp_gateway.control.local_client.SUGGESTION_SECONDS", 0.1)
    code, _, err = run(verb, "xyzzy")
    assert (code, "'xyzzy' is not a tool's full name" in err) == (1, True)


def test_a_tool_of_a_server_without_a_namespace_is_waited_for(run, servers, remote, monkeypatch):
    monkeypatch.setattr("mcp_gateway.control.local_client.SUGGESTION_SECONDS", 0.0)
    servers({"name": "alpha", "transport": "memory", "namespace": None}, {"name": "beta", "transport": "memory"})
    assert json.loads(run("describe", "echo", "--json")[1])["server"] == "alpha"
    assert run("call", "echo") == (0, "done\n", "")


def test_a_tool_that_its_server_lacks_is_said_without_the_others(run, start, gone):
    code, _, err = run("call", "alpha__ehco")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "server 'alpha' has no tool 'ehco'; did you mean 'alpha__echo'?" in err


@pytest.mark.parametrize("words", ["call gone__x", "describe gone__x", "tools gone", "tools", "search x"])
def test_a_server_that_does_not_start_is_started_once(run, servers, start, gone, words):
    servers({"name": "gone", "transport": "memory", "max_retries": 0})
    code, _, err = run(*words.split())
    assert (code, len(gone.opened)) == (0 if "search" in words else 1, 1)
    if "gone" in words:
        assert err.endswith("server 'gone' is not available: OSError: no route\n")
        failure = json.loads(run(*words.split(), "--json")[1])
        assert (failure["error_code"], failure["error"]) == (
            "server_unavailable",
            "server 'gone' is not available: OSError: no route",
        )


def test_a_server_that_is_listed_only_when_it_is_wanted_is_started_for_a_call(run, servers, start, gone):
    servers({"name": "gone", "transport": "memory", "max_retries": 0, "auto_discover": False})
    assert run("call", "gone__x")[0] == 1
    assert len(gone.opened) == 1
    servers({"name": "alpha", "transport": "memory", "auto_discover": False})
    assert run("call", "alpha__echo") == (0, "done\n", "")


def test_a_look_tries_a_server_once_and_says_in_one_line_that_it_is_down(run, servers, start, gone):
    servers({"name": "alpha", "transport": "memory"}, {"name": "gone", "transport": "memory", "max_retries": 5})
    code, out, err = run("search", "echo")
    assert (code, err, len(gone.opened)) == (0, "", 1)
    assert out.splitlines()[-1] == f"note: 1 server is down: gone; {GONE}"
    (note,) = json.loads(run("search", "echo", "--json")[1])["servers"]
    assert note.startswith("gone: down since")
    assert note.endswith("OSError: no route")


def test_a_search_waits_a_moment_only_for_a_server_that_does_not_answer(run, servers, start, monkeypatch):
    monkeypatch.setattr("mcp_gateway_cli.output.server_progress.SETTLE_SECONDS", 0.2)
    monkeypatch.setattr("mcp_gateway.gateway.gateway.SETTLE_SECONDS", 0.2)
    names = ("alpha", "silent")
    servers(*({"name": name, "transport": "memory", "start_timeout": 1000, "timeout": 1000} for name in names))
    began = time.monotonic()
    code, out, _ = run("search", "echo")
    assert (code, out.splitlines()[0]) == (0, "  alpha__echo()")
    note = out.splitlines()[-1]
    assert note.startswith("note: silent: starting since ")
    assert note.endswith("; mcp-orchestration-gateway tools --server NAME waits for it")
    assert time.monotonic() - began < 25


def test_a_search_waits_for_servers_that_come_one_after_another(run, start_late):
    start_late(3)
    assert "4 of 4 matching tools" in run("search", "echo")[1]


class SleepyServer(Remote):
    """A server that starts after the moment that others get."""

    async def _serve(self, streams):
        await anyio.sleep(1.0)
        await super()._serve(streams)


def test_a_search_waits_longer_for_the_first_server(run, servers, monkeypatch):
    for moment in ("gateway.SETTLE_SECONDS", "gateway.SETTLE_EMPTY_SECONDS"):
        monkeypatch.setattr(f"mcp_gateway.gateway.{moment}", 0.05)
    monkeypatch.setattr("mcp_gateway_cli.output.server_progress.SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(plugins, "INSTALLED", plugins.everything({"solo": SleepyServer(tool("echo"))}))
    servers({"name": "solo", "transport": "memory"})
    assert "1 of 1 matching tools" in run("search", "echo")[1]


def test_tools_are_listed_though_some_servers_are_down(run, servers, start, gone):
    start(worse=gone)
    servers(*({"name": name, "transport": "memory"} for name in ("alpha", "gone", "worse")))
    code, out, err = run("tools")
    assert (code, out.splitlines()[0]) == (0, "alpha (1 tools)")
    assert err == f"2 servers are down: gone, worse; {GONE}\n"
    code, _, err = run("tools", "--server", "gone")
    assert (code, err) == (1, "mcp-orchestration-gateway: server 'gone' is not available: OSError: no route\n")
    servers({"name": "gone", "transport": "memory"})
    assert run("tools")[0] == 1
