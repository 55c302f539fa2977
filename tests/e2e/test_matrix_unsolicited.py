"""Both eras on both sides: what servers ask clients when no request is under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support.gateways import GATEWAY, Launcher, read_log, until
from .support.matrix import ANSWERS, BACKWARD, EVERYTHING, HOME, NEW_SERVER, PAIRS, Pair, cell, full_entry
from .support.raw_clients import StdioClient


@pytest.fixture
def asked_client(launcher: Launcher, pair: Pair) -> tuple[StdioClient, Path]:
    """A client that can answer, of a gateway whose server asks as soon as it is initialized; the server's log."""
    config = launcher.config(full_entry(launcher, pair, "--ask-first"))
    gateway = launcher.start([GATEWAY], launcher.environment(config))
    client = StdioClient(gateway, pair.modern, capabilities=EVERYTHING, answers=ANSWERS)
    return client, launcher.folder / f"{pair.name}.log"


@cell("a question outside of calls", pairs=PAIRS[:1])
def test_an_old_client_is_asked_beside_its_requests(asked_client: tuple[StdioClient, Path]) -> None:
    client, log = asked_client
    client.read_until(lambda: client.asked)
    until(lambda: read_log(log, "beside") == [{"result": HOME}], "the server gets the answer")
    assert client.asked == [("roots/list", {})]


@cell("a question outside of calls", pairs=BACKWARD)
def test_a_new_client_is_not_asked_beside_its_requests(asked_client: tuple[StdioClient, Path]) -> None:
    client, log = asked_client
    client.ask("tools/list", {})
    (answer,) = until(lambda: read_log(log, "beside"), "the server gets an error")
    assert "cannot be asked for roots/list at this moment" in answer["error"]["message"]


@cell("a question outside of calls", pairs=NEW_SERVER, over=["stdio"])
def test_a_new_server_may_not_ask_by_a_request(asked_client: tuple[StdioClient, Path]) -> None:
    client, log = asked_client
    client.ask("tools/list", {})
    answers = until(lambda: read_log(log, "beside"), "the server gets an error")
    assert {answer.get("error", {}).get("code") for answer in answers} == {-32601}
    assert not client.asked
