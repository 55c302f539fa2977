"""Both eras on both sides: what servers ask clients when no request is under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support.gateways import GATEWAY, Workshop, lines_of, until
from .support.matrix import ANSWERS, BACKWARD, EVERYTHING, HOME, NEW_SERVER, PAIRS, Pair, cell, full_entry
from .support.raw_clients import PipeClient


@pytest.fixture
def curious(workshop: Workshop, pair: Pair) -> tuple[PipeClient, Path]:
    """A client that can answer, connected to a gateway whose server asks as soon as it is greeted; the server's log."""
    config = workshop.config(full_entry(workshop, pair, "--ask-first"))
    gateway = workshop.start([GATEWAY], workshop.environment(config))
    client = PipeClient(gateway, pair.modern, capabilities=EVERYTHING, answers=ANSWERS)
    return client, workshop.folder / f"{pair.name}.log"


@cell("a question outside of calls", pairs=PAIRS[:1])
def test_an_old_client_is_asked_beside_its_requests(curious: tuple[PipeClient, Path]) -> None:
    client, log = curious
    client.read_until(lambda: client.asked)
    until(lambda: lines_of(log, "beside") == [{"result": HOME}], "the server gets the answer")
    assert client.asked == [("roots/list", {})]


@cell("a question outside of calls", pairs=BACKWARD)
def test_a_new_client_is_not_asked_beside_its_requests(curious: tuple[PipeClient, Path]) -> None:
    client, log = curious
    client.ask("tools/list", {})
    (answer,) = until(lambda: lines_of(log, "beside"), "the server gets an error")
    assert "cannot be asked for roots/list at this moment" in answer["error"]["message"]


@cell("a question outside of calls", pairs=NEW_SERVER, over=["pipe"])
def test_a_new_server_may_not_ask_by_a_request(curious: tuple[PipeClient, Path]) -> None:
    client, log = curious
    client.ask("tools/list", {})
    answers = until(lambda: lines_of(log, "beside"), "the server gets an error")
    assert {answer.get("error", {}).get("code") for answer in answers} == {-32601}
    assert not client.asked
