"""Servers that take their time to start, to list and to answer: over stdio and HTTP, of both eras."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from .support.gateways import HERE, Launcher, plain_entry, until
from .support.raw_clients import HttpClient, Json, Stream

SERVER = str(HERE / "servers" / "slow.py")
WIRES = [(over, era) for over in ("stdio", "http") for era in ("handshake", "modern")]
LINE = "Downloading 2 of 3"
SECONDS = 2
"""The limit of calls that must be alive for longer: a sign of life comes every quarter of a second."""

SIGNS = 20
"""How many signs of life prove that a call has outlived its limit: they take more than twice as long."""

WORKED = [{"type": "text", "text": "worked"}]


class Slow:
    """Slow servers of every kind, which wait for files in a folder."""

    def __init__(self, launcher: Launcher) -> None:
        self.folder = launcher.folder / "gates"
        self.folder.mkdir()
        process = launcher.start([sys.executable, SERVER, "http", str(self.folder)], dict(os.environ))
        assert process.popen.stdout is not None
        self.url = f"http://127.0.0.1:{process.popen.stdout.readline().strip()}"

    def entries(self, name: str, slowness: str, **keys: object) -> list[Json]:
        """Return a server for each wire; their names begin with `name`."""
        return [
            {
                "name": f"{name}-{over}-{era}",
                **(
                    {"url": f"{self.url}/{era}/{slowness}"}
                    if over == "http"
                    else {"command": sys.executable, "args": [SERVER, "stdio", str(self.folder), era, slowness]}
                ),
                **keys,
            }
            for over, era in WIRES
        ]

    def open(self, slowness: str) -> None:
        """Let all servers that wait go on."""
        for over, era in WIRES:
            (self.folder / f"{era}-{slowness}-{over}").touch()

    def count_starts(self, slowness: str) -> dict[str, int]:
        """Return how often each kind of process was started."""
        files = {era: self.folder / f"{era}-{slowness}.starts" for era in ("handshake", "modern")}
        return {era: len(file.read_text(encoding="utf-8").split()) for era, file in files.items()}


@pytest.fixture
def slow(launcher: Launcher) -> Slow:
    return Slow(launcher)


def failure(answer: Json) -> tuple[str, str]:
    """Return an error's code and message, without the server's name."""
    found = answer["result"]["structuredContent"]
    return found["error_code"], found["error"].partition("' ")[2]


def is_served(client: HttpClient, server: str, gate: str) -> bool:
    """Whether a call is answered with its result."""
    answer = client.call(f"{server}__work", {"sign": "none", "gate": gate})
    return bool(answer["result"]["content"] == WORKED)


def begin_all(client: HttpClient, name: str, **arguments: object) -> list[Stream]:
    """Call the servers of all wires at once."""
    return [
        client.begin("tools/call", {"name": f"{name}-{over}-{era}__work", "arguments": arguments})
        for over, era in WIRES
    ]


def test_a_start_is_one_attempt_that_everybody_can_watch(launcher: Launcher, slow: Slow) -> None:
    entries = slow.entries("slow", "start", start_timeout=120, call_timeout=1)
    config = launcher.config(plain_entry("good"), *entries)
    client = HttpClient(launcher.start_http(config).url, modern=True)
    until(lambda: "result" in client.call("good__echo"), "others are served")

    gate = str(slow.folder / "start-call")
    for (over, _), stream in zip(WIRES, begin_all(client, "slow", sign="none", gate=gate), strict=True):
        code, message = failure(client.finish(stream))
        quoted = f": {LINE}" if over == "stdio" else ""
        assert (code, message.partition(";")[0]) == ("starting", f"is starting{quoted}")
        assert 's of 120 s (its "start_timeout")' in message
        assert 'this request waited 1 s (its "call_timeout"); try again' in message

    notes = client.call("tool_search", {"query": "work"})["result"]["structuredContent"]["servers"]
    assert [note.partition(":")[0] for note in notes] == [entry["name"] for entry in entries]
    assert [(": starting since " in note, LINE in note) for note in notes] == [
        (True, over == "stdio") for over, _ in WIRES
    ]

    slow.open("start")
    Path(gate).touch()
    for over, era in WIRES:
        until(partial(is_served, client, f"slow-{over}-{era}", gate), "it is served in the end")
    assert slow.count_starts("start") == {"handshake": 1, "modern": 1}


def test_a_start_list_or_call_that_takes_too_long_names_its_setting(launcher: Launcher, slow: Slow) -> None:
    config = launcher.config(
        *slow.entries("start", "start", start_timeout=1, max_retries=0),
        *slow.entries("list", "list", list_timeout=1, max_retries=0),
        *slow.entries("call", "call", call_timeout=1),
        *slow.entries("progress", "call", call_timeout=1),
        *slow.entries("all", "call", timeout=1),
    )
    client = HttpClient(launcher.start_http(config).url, modern=True)
    gate = str(slow.folder / "never")
    begun = {
        name: begin_all(client, name, sign=name if name == "progress" else "none", gate=gate)
        for name in ("start", "list", "call", "progress", "all")
    }
    found = {name: [failure(client.finish(stream)) for stream in streams] for name, streams in begun.items()}
    hint = "raise that if it needs longer"
    for (over, _), (code, message) in zip(WIRES, found["start"], strict=True):
        wrote = "; it last wrote to standard error: Downloading 1 of 3 | " if over == "stdio" else ""
        assert code == "timeout"
        assert message.startswith(f'did not start within 1 s (its "start_timeout"); {hint}{wrote}')
    silent = "gave no answer within 1 s (its"
    assert found["list"] == [("timeout", f'{silent} "list_timeout"); {hint}')] * len(WIRES)
    assert found["call"] == [("timeout", f'{silent} "call_timeout"); {hint}')] * len(WIRES)
    assert found["progress"] == found["call"], "a client that asks for no progress gets none"
    longer = 'raise that, or set its "call_timeout", if it needs longer'
    assert found["all"] == [("timeout", f'{silent} "timeout"); {longer}')] * len(WIRES)


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
def test_progress_and_log_messages_keep_a_call_alive(launcher: Launcher, slow: Slow, modern: bool) -> None:
    config = launcher.config(
        *slow.entries("progress", "call", call_timeout=SECONDS), *slow.entries("logs", "call", call_timeout=SECONDS)
    )
    client = HttpClient(launcher.start_http(config).url, modern=modern)
    if not modern:
        client.ask("logging/setLevel", {"level": "info"})
    gate = slow.folder / "alive"
    begun: dict[tuple[str, str], list[Stream]] = {}
    for sign, method in (("progress", "notifications/progress"), ("logs", "notifications/message")):
        meta = {"progressToken": sign} if sign == "progress" else {"io.modelcontextprotocol/logLevel": "info"}
        arguments = {"sign": sign, "gate": str(gate)}
        begun[sign, method] = [
            client.begin("tools/call", {"name": f"{sign}-{over}-{era}__work", "arguments": arguments, "_meta": meta})
            for over, era in WIRES
        ]
    for (_, method), streams in begun.items():
        for stream in streams:
            for _ in range(SIGNS):
                client.wait_for_notification(method, stream)
    gate.touch()
    for streams in begun.values():
        for stream in streams:
            answer = client.finish(stream)
            assert answer.get("result", answer).get("content") == WORKED, answer


def test_a_slow_list_is_waited_for(launcher: Launcher, slow: Slow) -> None:
    config = launcher.config(plain_entry("good"), *slow.entries("slow", "list", list_timeout=120, call_timeout=1))
    client = HttpClient(launcher.start_http(config).url, modern=True)
    asked = [
        client.begin("tools/call", {"name": "discover_tools", "arguments": {"server_name": f"slow-{over}-{era}"}})
        for over, era in WIRES
    ]
    until(lambda: "result" in client.call("good__echo"), "others are served")
    slow.open("list")
    for stream in asked:
        assert client.finish(stream)["result"]["structuredContent"]["tool_count"] == 1
