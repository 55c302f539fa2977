"""Both eras on both sides: messages of servers, and who gets which."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .support.matrix import NEW_CLIENT, OLD_CLIENT, PAIRS, House, Pair, Visitors, cell, shared_house, visitors
from .support.raw_clients import HttpClient

LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
SEVERE = LEVELS[3:]


@pytest.fixture(scope="module")
def house(request: pytest.FixtureRequest) -> House:
    return shared_house(request)


@pytest.fixture
def visitor(house: House) -> Iterator[Visitors]:
    with visitors(house.url) as visitor:
        yield visitor


def told(client: HttpClient, pair: Pair, by: str, level: str | None = None) -> list[str]:
    """Have a server send messages of all severities; return those that the client has got, which are whole."""
    reserved = {"_meta": {"io.modelcontextprotocol/logLevel": level}} if level and pair.modern else {}
    client.call(f"{pair.name}__tell", {"levels": LEVELS, "by": by}, **reserved)
    got = client.notified("notifications/message")
    client.heard.clear()
    levels = [params["level"] for params in got]
    data = [{"said": said, "by": by, "null": None, "big": 2**70} for said in levels]
    assert got == [
        {"level": said, "logger": "plain", "data": item, "vendor": 1.0} for said, item in zip(levels, data, strict=True)
    ]
    return levels


@cell("logging", pairs=OLD_CLIENT)
def test_an_old_client_sets_the_level_for_all_its_requests(visitor: Visitors, pair: Pair) -> None:
    client = visitor(pair)
    assert "result" in client.ask("logging/setLevel", {"level": "warning"})
    assert [told(client, pair, f"{pair}", None) for _ in range(2)] == [SEVERE, SEVERE]
    assert "result" in client.ask("logging/setLevel", {"level": "emergency"})
    assert told(client, pair, f"{pair}", None) == ["emergency"]


@cell("logging", pairs=NEW_CLIENT)
def test_a_new_client_sets_the_level_for_each_request(visitor: Visitors, pair: Pair) -> None:
    client = visitor(pair)
    assert told(client, pair, f"{pair}", "warning") == SEVERE
    assert told(client, pair, f"{pair}", "emergency") == ["emergency"]
    assert told(client, pair, f"{pair}", "debug") == LEVELS


@cell("logging without a level", pairs=PAIRS[:1])
def test_between_old_ones_messages_pass_unless_a_level_was_set(visitor: Visitors, pair: Pair) -> None:
    client = visitor(pair, {"roots": {"vendor": f"{pair}"}})  # a session of its own, on which nobody has set a level
    assert told(client, pair, f"{pair}") == LEVELS


@cell("logging without a level", pairs=PAIRS[1:])
def test_all_others_get_messages_only_if_they_asked_for_them(visitor: Visitors, pair: Pair) -> None:
    assert told(visitor(pair), pair, f"{pair}") == []


@cell("logging for two clients")
def test_each_of_two_clients_has_a_level_of_its_own(visitor: Visitors, pair: Pair) -> None:
    people = {level: visitor(pair, headers={"authorization": level}) for level in ("warning", "debug", "critical")}
    if not pair.modern:
        for level, client in people.items():
            client.ask("logging/setLevel", {"level": level})
    for _ in range(2):
        for level, client in people.items():
            assert told(client, pair, level, level) == LEVELS[LEVELS.index(level) :]
