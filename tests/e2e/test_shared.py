"""One gateway for all windows: each client has its own, as far as it can tell, and no server is started twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .support.gateways import GATEWAY, WAIT_SECONDS, Launcher, Process, is_alive, plain_entry, read_log, until
from .support.raw_clients import Json, StdioClient

SHARED = {"GATEWAY_SHARED": "1", "GATEWAY_SHARED_IDLE": "1"}
ENDED = "the shared gateway has ended while this request was under way"
FULL = ("--full",)


def start_window(launcher: Launcher, config: Path, **variables: str) -> Process:
    return launcher.start([GATEWAY], launcher.environment(config, **SHARED, **variables))


def open_window(launcher: Launcher, config: Path, *, modern: bool = False, **more: Any) -> StdioClient:
    return StdioClient(process=start_window(launcher, config), modern=modern, **more)


def describe_gateways(launcher: Launcher, config: Path) -> list[Json]:
    found: list[Json] = json.loads(launcher.run("status", "--json", config=config).stdout)["gateways"]
    return found


def find_pid(client: StdioClient) -> int:
    """Return the process of the plain server that a client reaches."""
    return int(client.call("plain__whoami")["result"]["structuredContent"]["pid"])


def close_input(process: Process) -> int:
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    return process.popen.wait(WAIT_SECONDS)


class Place:
    """A launcher with a configuration and the log of its server."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.launcher = Launcher(folder, stack)
        self.log = folder / "plain.log"
        self.config = self.launcher.config(plain_entry("plain", self.log, *FULL))

    def open(self, *, modern: bool = False, **more: Any) -> StdioClient:
        return open_window(self.launcher, self.config, modern=modern, **more)

    def describe(self) -> Json:
        (found,) = describe_gateways(self.launcher, self.config)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


def test_windows_of_both_eras_start_a_server_once_and_have_log_levels_of_their_own(place: Place) -> None:
    clients = [place.open(), place.open(), place.open(modern=True)]
    assert len({find_pid(client) for client in clients}) == 1
    assert len(read_log(place.log, "start")) == 1
    status = place.describe()
    assert (status["transport"], status["windows"]) == ("shared", 3)
    assert "log: " in status["address"]
    assert "  windows   3" in place.launcher.run("status", config=place.config).stdout
    quiet, loud, _ = clients
    quiet.ask("logging/setLevel", {"level": "error"})
    loud.ask("logging/setLevel", {"level": "debug"})
    for client, heard in ((quiet, ["error"]), (loud, ["debug", "error"])):
        client.call("plain__tell", {"levels": ["debug", "error"]})
        assert [told["level"] for told in client.notifications("notifications/message")] == heard


def test_each_window_answers_for_itself_and_cancels_its_own_call(place: Place) -> None:
    capabilities = {"roots": {}, "sampling": {}, "elicitation": {"form": {}}}
    answers = [
        {
            "roots/list": {"roots": [{"uri": f"file:///{name}"}]},
            "sampling/createMessage": {"role": "assistant", "content": {"type": "text", "text": name}, "model": "m"},
            "elicitation/create": {"action": "accept", "content": {"name": name}},
        }
        for name in ("one", "two")
    ]
    first, second = (place.open(capabilities=capabilities, answers=given) for given in answers)
    sampling = {"messages": [], "maxTokens": 1}
    form = {"message": "who", "requestedSchema": {"type": "object", "properties": {}}}
    rounds = [[("roots/list", {}), ("sampling/createMessage", sampling), ("elicitation/create", form)]]
    for client, given in ((first, answers[0]), (second, answers[1])):
        told = client.call("plain__ask", {"rounds": rounds})["result"]["structuredContent"]["answers"]
        assert [answer["result"] for answer in told] == list(given.values())
    for modern in (False, True):
        pair = [place.open(modern=modern) for _ in range(2)]
        cancel_first(place, pair, "modern" if modern else "handshake")


def cancel_first(place: Place, pair: list[StdioClient], name: str) -> None:
    """Let both clients call, with the same id, and one of them cancel."""
    calls = [
        client.begin("tools/call", {"name": "plain__slow", "arguments": {"seconds": 0.8, "name": f"{name} {number}"}})
        for number, client in enumerate(pair)
    ]
    assert calls[0] == calls[1]
    until(lambda: sum(name in str(call) for call in read_log(place.log, "tools/call")) == len(pair), "both calls begin")
    pair[0].send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": calls[0]}})
    assert pair[1].finish(calls[1])["result"]["content"][0]["text"] == "slow done"
    assert until(lambda: read_log(place.log, "stopped"), "the call stops")[-1] == f"{name} 0"


def test_a_killed_gateway_is_said_to_calls_under_way_and_the_next_message_starts_another(place: Place) -> None:
    client, modern = place.open(), place.open(modern=True)
    client.ask("tools/list", {})
    client.ask("logging/setLevel", {"level": "error"})
    before = place.describe()["pid"]
    calls = [
        each.begin("tools/call", {"name": "plain__slow", "arguments": {"seconds": 60}}) for each in (client, modern)
    ]
    until(lambda: sum(call["name"] == "slow" for call in read_log(place.log, "tools/call")) == 2, "both calls begin")
    os.kill(before, signal.SIGKILL)
    for each, call in zip((client, modern), calls, strict=True):
        assert ENDED in each.finish(call)["error"]["message"]
    assert find_pid(client) == find_pid(modern)
    assert place.describe()["pid"] != before
    assert client.notifications("notifications/tools/list_changed") == [{}]
    client.call("plain__tell", {"levels": ["debug", "error"]})
    assert [told["level"] for told in client.notifications("notifications/message")] == ["error"]
    assert sum(call["name"] == "slow" for call in read_log(place.log, "tools/call")) == 2


def test_a_gateway_that_is_to_stop_answers_what_is_under_way(place: Place) -> None:
    client = place.open()
    before = place.describe()["pid"]
    call = client.begin("tools/call", {"name": "plain__slow", "arguments": {"seconds": 0.6}})
    until(lambda: any(call["name"] == "slow" for call in read_log(place.log, "tools/call")), "the call begins")
    os.kill(before, signal.SIGTERM)
    assert client.finish(call)["result"]["content"][0]["text"] == "slow done"
    until(lambda: not is_alive(before), "it ends")
    assert find_pid(client)


def test_windows_at_the_same_moment_start_one_gateway_which_ends_after_the_last(place: Place) -> None:
    processes = [start_window(place.launcher, place.config) for _ in range(3)]
    clients = [StdioClient(process=process, modern=False) for process in processes]
    server = find_pid(clients[0])
    gateway = place.describe()
    assert gateway["windows"] == 3
    processes[0].popen.kill()
    until(lambda: place.describe()["windows"] == 2, "the killed window is forgotten")
    # What is under way at the end of the input is answered.
    call = clients[1].begin("tools/call", {"name": "plain__slow", "arguments": {"seconds": 0.5}})
    stdin = processes[1].popen.stdin
    assert stdin is not None
    stdin.close()
    assert clients[1].finish(call)["result"]["content"][0]["text"] == "slow done"
    assert processes[1].popen.wait(WAIT_SECONDS) == 0
    assert find_pid(clients[2]) == server
    assert processes[2].end(signal.SIGTERM) == 0
    assert is_alive(gateway["pid"])
    until(lambda: not is_alive(gateway["pid"]) and not is_alive(server), "gateway and server end")
    folder = Path(place.launcher.runtime, "mcp-orchestration-gateway")
    until(lambda: not list(folder.iterdir()), "nothing is left in the runtime folder")


def test_windows_that_would_have_another_gateway_share_none(place: Place) -> None:
    launcher, config = place.launcher, place.config
    other_config = launcher.config(plain_entry("plain", place.log))
    elsewhere = place.launcher.folder / "elsewhere"
    elsewhere.mkdir()
    environment = launcher.environment(config, **SHARED)
    processes = [
        launcher.start([GATEWAY], environment),
        launcher.start([GATEWAY], {**environment, "WINDOWID": "7", "TERM_SESSION_ID": "another"}),
        launcher.start([GATEWAY], {**environment, "SOME_KEY": "another"}),
        launcher.start([GATEWAY, "serve", "--config", str(other_config)], environment),
        launcher.start(["env", "-C", str(elsewhere), GATEWAY], environment),
    ]
    servers = [find_pid(StdioClient(process=process, modern=False)) for process in processes]
    assert servers[0] == servers[1]
    assert len(set(servers)) == len(servers) - 1


def test_a_window_says_why_it_has_no_gateway(place: Place) -> None:
    first = start_window(place.launcher, place.config, GATEWAY_SHARED_WINDOWS="1")
    assert StdioClient(process=first, modern=False).handshake_result["serverInfo"]
    refused = run_window(place, GATEWAY_SHARED_WINDOWS="1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "it has as many windows as GATEWAY_SHARED_WINDOWS allows, 1" in refused.stderr
    wrong = run_window(place, GATEWAY_LOG_LEVEL="loud")
    assert wrong.returncode == 1
    assert "GATEWAY_LOG_LEVEL" in wrong.stderr


def run_window(place: Place, **variables: str) -> subprocess.CompletedProcess[str]:
    found: subprocess.CompletedProcess[str] = place.launcher.run(config=place.config, **SHARED, **variables)
    return found
