"""The table of wire cases, over every pair of transports and of eras: see `wire_cases.py`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import msgspec
import pytest
from mcp import Client, MCPError, StdioServerParameters

from .support.gateways import GATEWAY, HERE, Launcher, until
from .support.wire_clients import HttpWire, StdioWire, WireClient, encode_request
from .support.wire_page import PAGE, page
from .wire_cases import (
    ALL,
    CASES,
    ELSEWHERE,
    JSON,
    NINES,
    NO_IDS,
    OWN_IDS,
    REQUESTS,
    SSE,
    STDIO,
    VALUE,
    Case,
    Error,
    Fault,
    Request,
)

ROOT = HERE.parents[1]
SERVER = str(HERE / "servers" / "wire.py")
ERAS = ("handshake", "modern")
CLIENTS = tuple(f"{over}-{era}" for over in ("http", STDIO) for era in ERAS)
SERVERS = tuple(f"{wire}-{era}" for wire in ALL for era in ERAS)
Json = dict[str, Any]


@dataclass
class Wires:
    """Gateways in front of servers of every kind, and their clients."""

    launcher: Launcher
    log: Path
    config: Path
    base: str
    clients: dict[str, WireClient] = field(default_factory=dict)
    _http: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def client(self, kind: str) -> WireClient:
        """Return a client: over HTTP they share a gateway, over a pipe each has its own."""
        if kind not in self.clients:
            over, era = kind.split("-")
            if over == STDIO:
                process = self.launcher.start([GATEWAY], self.launcher.environment(self.config))
                self.clients[kind] = StdioWire(process, era == "modern")
            else:
                self._http = self._http or self.launcher.start_http(self.config).url
                self.clients[kind] = HttpWire(self._http, era == "modern")
        return self.clients[kind]

    def target(self, wire: str) -> str | StdioServerParameters:
        """Return what a client connects to without a gateway."""
        arguments = [SERVER, STDIO, str(self.log), "handshake"]
        if wire == STDIO:
            return StdioServerParameters(command=sys.executable, args=arguments)
        return f"{self.base}/handshake/{wire}"

    def params(self, server: str, case: str, **arguments: Any) -> Json:
        """Return the params of a call, with a nonce of its own."""
        number = next(self._numbers)
        played = {"case": case, "nonce": f"n{number}", **arguments}
        return {"name": f"{server}__play", "arguments": played, "_meta": {"progressToken": f"t{number}"}}

    def times(self, params: Json) -> int:
        """Return how often a server has carried out a call."""
        return self.log.read_text(encoding="utf-8").split("\n").count(params["arguments"]["nonce"])


@pytest.fixture(scope="module")
def wires(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wires]:
    with ExitStack() as stack:
        launcher = Launcher(tmp_path_factory.mktemp("wires"), stack)
        log = launcher.folder / "calls.log"
        log.touch()
        process = launcher.start([sys.executable, SERVER, "http", str(log)], dict(os.environ))
        assert process.popen.stdout is not None
        base = f"http://127.0.0.1:{process.popen.stdout.readline().strip()}"
        entries: list[Json] = [
            {"name": f"{wire}-{era}", "url": f"{base}/{era}/{wire}"} for wire in (JSON, SSE) for era in ERAS
        ]
        entries += [
            {"name": f"{STDIO}-{era}", "command": sys.executable, "args": [SERVER, STDIO, str(log), era]}
            for era in ERAS
        ]
        config = launcher.config(*({**entry, "timeout": 5, "max_retries": 3} for entry in entries))
        found = Wires(launcher, log, config, base)
        yield found
        for client in found.clients.values():
            client.close()


def check(outcome: str | Error | Fault, server: str, response: bytes) -> None:
    """Compare a response with what must arrive."""
    fields = msgspec.json.decode(response, type=dict[str, msgspec.Raw])
    if isinstance(outcome, Error):
        found = msgspec.json.decode(fields["error"], type=dict[str, msgspec.Raw])
        message = json.loads(bytes(found["message"]))
        assert (bytes(found["code"]), bytes(found.get("data", b""))) == (b"%d" % outcome.code, outcome.data.encode())
        if outcome.code == -32603 and "sent a response" in message:
            assert message.startswith(f"server '{server}' sent a response that cannot be read")
        assert outcome.words in message
        return
    assert "error" not in fields, response[:500]
    result = msgspec.json.decode(fields["result"], type=dict[str, msgspec.Raw])
    if isinstance(outcome, Fault):
        assert bytes(result.get("isError", b"false")) == b"true", response[:500]
        text = json.loads(bytes(result["structuredContent"]))["error"]
        assert text.startswith(f"server '{server}'")
        assert outcome.words in text
        return
    assert bytes(result["structuredContent"]) == outcome.encode(), response[:500]


ROWS = [
    pytest.param(case, client, f"{wire}-{era}", id=f"{case.name}, {client}, {wire}-{era}")
    for case in CASES
    for client in CLIENTS
    for wire in case.wires
    for era in ERAS
]


@pytest.mark.parametrize("case, client, server", ROWS)
def test_each_case_arrives(wires: Wires, case: Case, client: str, server: str) -> None:
    connected = wires.client(client)
    if any("<held>" in sent for sent in case.sent if isinstance(sent, str)):
        held = wires.params(server, "hold")
        connected.abandon('"held"', "tools/call", held, lambda: until(lambda: wires.times(held), "it was called"))
    params = wires.params(server, case.name)
    *before, response = connected.ask("1", "tools/call", params)
    check(case.outcome, server, response)
    heard = [
        message for message in before if params["_meta"]["progressToken"].encode() in message or b"log " in message
    ]
    assert len(heard) == len(case.before), heard
    assert all(words.encode() in message for words, message in zip(case.before, heard, strict=True))
    assert wires.times(params) == 1


@pytest.mark.parametrize("id_", OWN_IDS)
@pytest.mark.parametrize("server", [f"{STDIO}-handshake", f"{SSE}-modern"])
@pytest.mark.parametrize("client", CLIENTS)
def test_ids_ofclients_go_back_byte_for_byte(wires: Wires, client: str, server: str, id_: str) -> None:
    params = wires.params(server, "plain")
    response = wires.client(client).ask(id_, "tools/call", params)[-1]
    assert response.startswith(b'{"jsonrpc":"2.0","id":%b,"result":' % id_.encode())
    assert wires.times(params) == 1


@pytest.mark.parametrize("id_", OWN_IDS)
@pytest.mark.parametrize("server", [f"{wire}-{era}" for wire in (STDIO, SSE) for era in ERAS])
def test_ids_of_servers_go_back_byte_for_byte(wires: Wires, server: str, id_: str) -> None:
    params = wires.params(server, "ask", id=id_)
    response = wires.client("http-modern").ask("1", "tools/call", params)[-1]
    check(f'{{"v":{id_}}}', server, response)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda case: case.name)
@pytest.mark.parametrize("server", [f"{wire}-{era}" for wire in (STDIO, JSON) for era in ERAS])
@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_client_writes_arrives(wires: Wires, client: str, server: str, request_: Request) -> None:
    connected = wires.client(client)
    params = wires.params(server, "echo", value="<value>")
    message = encode_request("1", "tools/call", params, modern=connected.modern)
    response = connected.send(message.replace(b'"<value>"', request_.written), "tools/call", params)
    fields = msgspec.json.decode(response, type=dict[str, msgspec.Raw])
    assert wires.times(params) == (0 if request_.is_refused else 1)
    if request_.is_refused:
        assert msgspec.json.decode(fields["error"])["code"] == -32700
    else:
        arrived = f'{{"v":{request_.arrives}}}'.encode() if request_.arrives else b'{"v":%b}' % request_.written
        result = msgspec.json.decode(fields["result"], type=dict[str, msgspec.Raw])
        assert bytes(result["structuredContent"]) == arrived


@pytest.mark.parametrize("id_, told", NO_IDS.items(), ids=lambda text: text[:9])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_request_whose_id_is_none_is_refused_and_not_lost(wires: Wires, client: str, id_: str, told: str) -> None:
    connected = wires.client(client)
    for method in ("tools/call", "tasks/x", "ping"):
        params = wires.params(f"{STDIO}-modern", "plain")
        message = encode_request(id_, method, params, modern=connected.modern)
        fields = msgspec.json.decode(connected.send(message, method, params, id_=told), type=dict[str, msgspec.Raw])
        assert bytes(fields["id"]) == told.encode()
        assert json.loads(bytes(fields["error"]))["code"] == -32600
        assert wires.times(params) == 0


@pytest.mark.parametrize("written", [b"[%b]", b" [ %b ]", b"\xef\xbb\xbf%b"], ids=["array", "blanks", "mark"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_message_may_have_something_around_it(wires: Wires, client: str, written: bytes) -> None:
    connected = wires.client(client)
    for method in ("tools/call", "ping"):
        params = wires.params(f"{STDIO}-modern", "plain")
        response = connected.send(
            written % encode_request("1", method, params, modern=connected.modern), method, params
        )
        assert response.startswith(b'{"jsonrpc":"2.0","id":1,')
        if method == "tools/call":
            check(VALUE, f"{STDIO}-modern", response)
        assert b"-32600" not in response


@pytest.mark.parametrize("id_", [*(id_ for id_ in NO_IDS if id_ != NINES), '"1"', "2"], ids=lambda text: text[:9])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_cancellation_of_what_is_no_id_cancels_nothing(wires: Wires, client: str, id_: str) -> None:
    connected = wires.client(client)
    method = "notifications/cancelled"
    cancellation = b'{"jsonrpc":"2.0","method":"%b","params":{"requestId":%b}}' % (method.encode(), id_.encode())
    connected.notify(cancellation, method)
    check(VALUE, f"{STDIO}-modern", connected.ask("1", "tools/call", wires.params(f"{STDIO}-modern", "plain"))[-1])


def test_the_page_says_what_the_table_says() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "renew it: python -m tests.e2e.support.wire_page"


def test_the_tests_that_hold_other_cases_exist() -> None:
    named = [each for tests in ELSEWHERE.values() for each in tests]
    missing = [
        each
        for each in named
        if not re.search(rf"^(?:async )?def {each[1]}\(", (ROOT / each[0]).read_text("utf-8"), re.MULTILINE)
    ]
    assert missing == []


async def test_the_last_column_is_what_the_sdk_sees(wires: Wires, subtests: pytest.Subtests) -> None:
    seen: dict[tuple[str, str], str] = {}
    limit = anyio.Semaphore(6)

    async def look(case: Case, wire: str) -> None:
        async with limit:
            seen[case.name, wire] = await see(wires, case, wire, 3)

    async with anyio.create_task_group() as tasks:
        for case in CASES:
            for wire in case.wires:
                tasks.start_soon(look, case, wire)
    for case in CASES:
        for wire in case.wires:
            if seen[case.name, wire] != case.sdk_sees(wire):  # the machine may have been busy
                seen[case.name, wire] = await see(wires, case, wire, 20)
            with subtests.test(case.name, wire=wire):
                assert seen[case.name, wire] == case.sdk_sees(wire)


async def see(wires: Wires, case: Case, wire: str, seconds: float) -> str:
    """Return what the SDK's client sees of a case."""
    try:
        async with Client(wires.target(wire), mode="legacy", read_timeout_seconds=seconds) as client:
            if any("<held>" in sent for sent in case.sent if isinstance(sent, str)):
                with anyio.move_on_after(0.5):
                    await client.call_tool("play", {"case": "hold"})
            try:
                result = await client.call_tool("play", {"case": case.name})
            except MCPError as error:
                return "waits" if "timed out" in error.error.message.lower() else "error"
            wanted = case.value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            return "same" if repr(result.structured_content) == repr(json.loads(wanted)) else "else"
    except Exception:
        return "error"  # its session breaks


def is_written_everywhere(case: Case) -> bool:
    """Whether a server may answer everything like this, and is served."""
    text = [sent for sent in case.sent if isinstance(sent, str)]
    return case.outcome == VALUE and not any(mark in sent for sent in text for mark in ("<held>", "<token>"))


def test_a_check_that_connects_reads_whatever_a_call_reads(wires: Wires) -> None:
    base, log = wires.base, str(wires.log)
    entries: list[Json] = []
    for number, case in enumerate(filter(is_written_everywhere, CASES)):
        paths = [f"{era}/{wire}/{quote(case.name, safe='')}" for era in ERAS for wire in case.wires if wire != STDIO]
        entries += [
            {"name": f"{path.split('/')[0]}-{number}-{path.split('/')[1]}", "url": f"{base}/{path}"} for path in paths
        ]
        if case.wires != ALL and STDIO in case.wires:
            arguments = [SERVER, STDIO, log, "handshake", case.name]
            entries.append({"name": f"stdio-{number}", "command": sys.executable, "args": arguments})
    found = wires.launcher.run("check", "--connect", "--json", config=wires.launcher.config(*entries), timeout=200)
    trials = {trial["server"]: trial for trial in json.loads(found.stdout)["trials"]}
    assert [trial for trial in trials.values() if not trial["ok"] or trial["tools"] != 1] == []
    assert len(trials) == len(entries) > 100


def test_a_check_that_connects_names_a_server_as_a_call_does(wires: Wires) -> None:
    faults = {"cut": "cut in the middle", "twice": "gzip twice", "short": "less than its length"}
    entries = [{"name": name, "url": f"{wires.base}/handshake/json/{quote(case)}"} for name, case in faults.items()]
    found = wires.launcher.run("check", "--connect", "--json", config=wires.launcher.config(*entries))
    trials = {trial["server"]: trial for trial in json.loads(found.stdout)["trials"]}
    assert not any(trial["ok"] for trial in trials.values())
    assert all(trial["reason"].startswith(f"server '{name}'") for name, trial in trials.items())


def test_a_child_that_writes_over_several_lines_is_told_of(wires: Wires) -> None:
    script = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    print(json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": {}}, indent=2), flush=True)
    print("waiting for the database", file=sys.stderr, flush=True)
"""
    config = wires.launcher.config({"name": "pretty", "command": sys.executable, "args": ["-c", script], "timeout": 3})
    (trial,) = json.loads(wires.launcher.run("check", "--connect", "--json", config=config).stdout)["trials"]
    assert trial["reason"].startswith(
        "server 'pretty' is not available: it writes its messages over several lines; it wrote "
    )
    assert "lines to standard output that are no MCP messages" in trial["reason"]
    assert "it last wrote to standard error: waiting for the database" in trial["reason"]


BROKEN_ANSWERS = {
    "over several lines": ('{\n"jsonrpc": "2.0",\n"id": %d,\n"result": {}\n}', 5, "'{'"),
    "cut by a line of a log": ('{"jsonrpc": "2.0",\nit is slow\n"id": %d, "result": {}}', 3, "jsonrpc"),
    "behind a word": ('Working... {"jsonrpc": "2.0", "id": %d, "result": {}}', 1, "Working... "),
}
BROKEN_SERVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from hostile import offered
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "tools/call":
        print(sys.argv[3] % message["id"], flush=True)
    elif "id" in message:
        found = offered(message["method"], sys.argv[2])
        outcome = {"error": {"code": -32601, "message": "Method not found"}} if found is None else {"result": found}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **outcome}), flush=True)
"""


@pytest.mark.parametrize("answer, lines, first", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
@pytest.mark.parametrize("era", ERAS)
def test_an_answer_that_is_no_line_is_quoted_once_it_is_late(
    wires: Wires, era: str, answer: str, lines: int, first: str
) -> None:
    arguments = ["-c", BROKEN_SERVER, str(HERE / "servers"), era, answer]
    entry = {"name": "broken", "command": sys.executable, "args": arguments, "call_timeout": 1, "max_retries": 0}
    found = wires.launcher.run("call", "broken__attack", "{}", "--json", config=wires.launcher.config(entry))
    said = json.loads(found.stdout)["error"]
    assert said.startswith("server 'broken' gave no answer within 1 s")
    assert f"; since its last answer it wrote {lines} line" in said
    assert first in said
