"""Both eras on both sides: messages of servers, and who gets which."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .support.matrix import (
    NEW_CLIENT,
    OLD_CLIENT,
    PAIRS,
    ClientFactory,
    MatrixGateway,
    Pair,
    cell,
    open_clients,
    shared_matrix_gateway,
)
from .support.raw_clients import HttpClient

LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
SEVERE = LEVELS[3:]


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest) -> MatrixGateway:
    return shared_matrix_gateway(request)


@pytest.fixture
def make_client(gateway: MatrixGateway) -> Iterator[ClientFactory]:
    with open_clients(gateway.url) as make_client:
        yield make_client


def messages_of(client: HttpClient, pair: Pair, by: str, level: str | None = None) -> list[str]:
    """Have a server send messages of all severities; return those that the client has got, which are whole."""
    reserved = {"_meta": {"io.modelcontextprotocol/logLevel": level}} if level and pair.modern else {}
    client.call(f"{pair.name}__tell", {"levels": LEVELS, "by": by}, **reserved)
    got = client.notifications("notifications/message")
    client.messages.clear()
    levels = [params["level"] for params in got]
    data = [{"said": said, "by": by, "null": None, "big": 2**70} for said in levels]
    assert got == [
        {"level": said, "logger": "plain", "data": item, "vendor": 1.0} for said, item in zip(levels, data, strict=True)
    ]
    return levels


@cell("logging", pairs=OLD_CLIENT)
def test_an_old_client_sets_the_level_for_all_its_requests(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client(pair)
    assert "result" in client.ask("logging/setLevel", {"level": "warning"})
    assert [messages_of(client, pair, f"{pair}", None) for _ in range(2)] == [SEVERE, SEVERE]
    assert "result" in client.ask("logging/setLevel", {"level": "emergency"})
    assert messages_of(client, pair, f"{pair}", None) == ["emergency"]


@cell("logging", pairs=NEW_CLIENT)
def test_a_new_client_sets_the_level_for_each_request(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client(pair)
    assert messages_of(client, pair, f"{pair}", "warning") == SEVERE
    assert messages_of(client, pair, f"{pair}", "emergency") == ["emergency"]
    assert messages_of(client, pair, f"{pair}", "debug") == LEVELS


@cell("logging without a level", pairs=PAIRS[:1])
def test_between_old_ones_messages_pass_unless_a_level_was_set(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client(
        pair, {"roots": {"vendor": f"{pair}"}}
    )  # a session of its own, on which nobody has set a level
    assert messages_of(client, pair, f"{pair}") == LEVELS


@cell("logging without a level", pairs=PAIRS[1:])
def test_all_others_get_messages_only_if_they_asked_for_them(make_client: ClientFactory, pair: Pair) -> None:
    assert messages_of(make_client(pair), pair, f"{pair}") == []


@cell("logging for two clients")
def test_each_of_two_clients_has_a_level_of_its_own(make_client: ClientFactory, pair: Pair) -> None:
    people = {level: make_client(pair, headers={"authorization": level}) for level in ("warning", "debug", "critical")}
    if not pair.modern:
        for level, client in people.items():
            client.ask("logging/setLevel", {"level": level})
    for _ in range(2):
        for level, client in people.items():
            assert messages_of(client, pair, level, level) == LEVELS[LEVELS.index(level) :]
