"""The table of wire cases over a third party's transport, which yields the SDK's streams.

Such a transport hears what the SDK's client hears: so the last column of the table is what must arrive. That holds in
every pair of eras, and nothing is lost or overtaken behind the SDK.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from .support.gateways import HERE, Launcher
from .support.wire_clients import HttpWire, Json
from .wire_cases import ALL, BEFORE, ERRORS, EVENTS, IDS, LINES, STDIO, VALUES, Case, Error

SERVER = str(HERE / "servers" / "wire.py")
PLUGIN = HERE / "third_party"
ERAS = ("handshake", "modern")


def is_representative(case: Case, wire: str) -> bool:
    """Whether the SDK's client gets an answer: otherwise it waits, or its session breaks."""
    if wire not in case.wires or any("<held>" in sent for sent in case.sent if isinstance(sent, str)):
        return False
    return case.sdk_sees(wire) == "same" or (isinstance(case.outcome, Error) and case.sdk_sees(wire) == "error")


def is_finite(value: str) -> bool:
    """Whether a value has no number that JSON has no form for, once it is decoded."""
    return not re.search(r"\b(?:nan|inf)\b", repr(json.loads(value)))


ROWS = [
    pytest.param(case, client, f"{wire}-{era}", id=f"{case.name}, {client}, {wire}-{era}")
    for case in (*IDS, *ERRORS, *VALUES, *BEFORE, *EVENTS, *LINES)
    for wire in ALL
    if is_representative(case, wire)
    for client in ERAS
    for era in ERAS
]


class Streams:
    """A gateway with the plugin, in front of servers of every kind, and a client of each era."""

    def __init__(self, launcher: Launcher) -> None:
        log = launcher.folder / "calls.log"
        log.touch()
        process = launcher.start([sys.executable, SERVER, "http", str(log)], dict(os.environ))
        assert process.popen.stdout is not None
        base = f"http://127.0.0.1:{process.popen.stdout.readline().strip()}"
        entries: list[Json] = []
        for era in ERAS:
            stdio = {"command": sys.executable, "args": [SERVER, STDIO, str(log), era]}
            places = [stdio if wire == STDIO else {"url": f"{base}/{era}/{wire}"} for wire in ALL]
            named = zip(ALL, places, strict=True)
            entries += [{"name": f"{wire}-{era}", "transport": "sdk-streams", **place} for wire, place in named]
        config = launcher.config(*({**entry, "timeout": 5} for entry in entries))
        url = launcher.start_http(config, PYTHONPATH=install_plugin(launcher.folder)).url
        self.log = log
        self.clients = {era: HttpWire(url, era == "modern") for era in ERAS}
        self.number = 0

    def params(self, server: str, case: str) -> Json:
        """Return the params of a call, with a nonce of its own."""
        self.number += 1
        played = {"case": case, "nonce": f"n{self.number}"}
        return {"name": f"{server}__play", "arguments": played, "_meta": {"progressToken": f"t{self.number}"}}

    def times(self, params: Json) -> int:
        """Return how often a server has carried out a call."""
        return self.log.read_text(encoding="utf-8").split("\n").count(params["arguments"]["nonce"])


def install_plugin(folder: Path) -> str:
    """Describe the plugin as its installation would; return where it is found."""
    described = folder / "site" / "sdk_streams-1.0.dist-info"
    described.mkdir(parents=True)
    described.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: sdk-streams\nVersion: 1.0\n")
    described.joinpath("entry_points.txt").write_text("[mcp_gateway]\nclient-transport-sdk-streams = sdk_streams\n")
    return f"{PLUGIN}{os.pathsep}{described.parent}"


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streams]:
    with ExitStack() as stack:
        opened = Streams(Launcher(tmp_path_factory.mktemp("streams"), stack))
        yield opened
        for client in opened.clients.values():
            client.close()


@pytest.mark.parametrize("case, client, server", ROWS)
def test_what_the_sdk_hears_arrives(streams: Streams, case: Case, client: str, server: str) -> None:
    params = streams.params(server, case.name)
    *before, response = streams.clients[client].ask("1", "tools/call", params)
    check(case, server, response)
    token = params["_meta"]["progressToken"].encode()
    heard = [json.loads(message)["params"] for message in before if token in message or b"log " in message]
    assert [report.get("progress", report.get("data")) for report in heard] == [
        json.loads(f"{{{words}}}")["progress"] if "progress" in words else json.loads(words)
        for words in case.before
        if "1e400" not in words
    ]
    assert streams.times(params) == 1


def check(case: Case, server: str, response: bytes) -> None:
    """Compare a response with what the SDK's client sees."""
    fields = msgspec.json.decode(response, type=dict[str, msgspec.Raw])
    result = json.loads(bytes(fields["result"])) if "result" in fields else {}
    if case.sdk_sees(server.split("-", maxsplit=1)[0]) == "same" and is_finite(case.value):
        wanted = case.value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        assert repr(result["structuredContent"]) == repr(json.loads(wanted))
    elif isinstance(case.outcome, Error) and case.sdk == "error" and "1e999" not in case.outcome.data:
        error = json.loads(bytes(fields["error"]))
        assert error["code"] == case.outcome.code
        assert case.outcome.words in error["message"]
    elif "error" in fields:
        assert json.loads(bytes(fields["error"]))["code"] == -32700  # the SDK's, in the server's place
    else:
        assert result["structuredContent"]["error"].startswith(f"server '{server}'")
