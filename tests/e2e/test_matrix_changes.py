"""Both eras on both sides: what servers say without being asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .support.gateways import until
from .support.matrix import (
    ERAS,
    NEW_CLIENT,
    OLD_CLIENT,
    OVER,
    House,
    Pair,
    Visitors,
    cell,
    open_house,
    visitors,
)
from .support.raw_clients import HttpClient, Stream

UPDATED = "notifications/resources/updated"
CHANGES = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("changes")) as house:
        yield house


@pytest.fixture
def visitor(house: House) -> Iterator[Visitors]:
    with visitors(house.url) as visitor:
        yield visitor


def subscribe(client: HttpClient, uri: str) -> Stream:
    if client.modern:
        stream = client.listen(resourceSubscriptions=[uri], **CHANGES)
        (honoured,) = client.notified("notifications/subscriptions/acknowledged")
        assert honoured["notifications"] == {**CHANGES, "resourceSubscriptions": [uri]}
        return stream
    stream = client.listen()
    assert "result" in client.ask("resources/subscribe", {"uri": uri})
    return stream


def unsubscribe(client: HttpClient, uri: str, stream: Stream) -> None:
    if client.modern:
        stream.close()
    else:
        assert "result" in client.ask("resources/unsubscribe", {"uri": uri})


def watching(house: House, pair: Pair, uri: str) -> int:
    """Return how often the server was asked to announce updates."""
    listens = [
        params["notifications"].get("resourceSubscriptions") for params in house.logged(pair, "subscriptions/listen")
    ]
    return listens.count([uri]) + house.logged(pair, "resources/subscribe").count({"uri": uri})


@cell("resource subscriptions")
def test_a_subscriber_hears_of_updates_and_nobody_else(visitor: Visitors, house: House, pair: Pair) -> None:
    uri, name = f"plain://{pair.name}/b", f"{pair.client}-{pair.name}"
    subscriber, other = visitor(pair), visitor(pair, headers={"authorization": "other"})
    streams = subscribe(subscriber, uri), other.listen(**CHANGES)

    def touch() -> bool:
        return bool(other.call(f"{pair.name}__touch", {"uri": uri})["result"]["structuredContent"]["heard"])

    assert touch()
    heard = subscriber.hear(UPDATED, streams[0])
    heard.get("_meta", {}).pop("io.modelcontextprotocol/subscriptionId", None)
    assert {**heard, "_meta": {}} == {"uri": uri, "vendorField": {"z": None, "a": 1.0}, "_meta": {}}
    unsubscribe(subscriber, uri, streams[0])
    until(lambda: not touch(), "the server hears that nobody is subscribed any more")
    item = {"name": f"after-{name}"}
    other.call(f"{pair.name}__announce", {"kind": "prompts", "item": item})
    other.hear("notifications/prompts/list_changed", streams[1])
    assert not other.notified(UPDATED)


@cell("resource subscriptions of two clients")
def test_the_last_of_two_subscribers_ends_the_server_s_subscription(
    visitor: Visitors, house: House, pair: Pair
) -> None:
    uri = f"plain://{pair.name}/b"
    one, two = (visitor(pair, headers={"authorization": name}) for name in ("one", "two"))
    before = watching(house, pair, uri)
    streams = subscribe(one, uri), subscribe(two, uri)
    assert watching(house, pair, uri) == before + 1
    touch = {"name": f"{pair.name}__touch", "arguments": {"uri": uri}}
    one.ask("tools/call", touch)
    assert [one.hear(UPDATED, streams[0])["uri"], two.hear(UPDATED, streams[1])["uri"]] == [uri, uri]
    unsubscribe(one, uri, streams[0])
    one.ask("tools/call", touch)
    assert two.hear(UPDATED, streams[1])["uri"] == uri
    unsubscribe(two, uri, streams[1])
    until(
        lambda: not one.ask("tools/call", touch)["result"]["structuredContent"]["heard"],
        "the server hears that nobody is subscribed any more",
    )


@cell("list changes")
def test_a_changed_list_is_announced_and_only_its_server_asked_again(
    visitor: Visitors, house: House, pair: Pair
) -> None:
    others = [Pair("", era, over) for era in ERAS for over in OVER if f"{over}-{era}" != pair.name]
    client = visitor(pair)
    stream = client.listen(**CHANGES)
    before = [len(house.logged(other, "tools/list")) for other in others]
    name = f"new-{pair.client}-{pair.over}"
    uri = f"plain://{pair.name}/{name}"
    for kind, item, key, listed in (
        ("prompts", {"name": name}, "name", f"{pair.name}__{name}"),
        ("resources", {"name": name, "uri": uri}, "uri", uri),
        ("tools", {"name": name, "inputSchema": {"type": "object"}}, "name", f"{pair.name}__{name}"),
    ):
        client.call(f"{pair.name}__announce", {"kind": kind, "item": item})
        client.hear(f"notifications/{kind}/list_changed", stream)
        assert listed in [found[key] for found in client.ask(f"{kind}/list", {})["result"][kind]]
        found = client.call("tool_search", {"query": name, "max_results": 3})["result"]["structuredContent"]["tools"]
        assert kind != "tools" or listed in [tool["tool_name"] for tool in found]
    assert [len(house.logged(other, "tools/list")) for other in others] == before


@cell("list changes of a kind that was not asked for", pairs=NEW_CLIENT)
def test_a_new_client_hears_of_the_lists_that_it_wants(visitor: Visitors, pair: Pair) -> None:
    client = visitor(pair)
    stream = client.listen(toolsListChanged=True)
    for kind, item in (("prompts", {"name": "p"}), ("tools", {"name": "t", "inputSchema": {"type": "object"}})):
        item["name"] += f"-{pair.client}-{pair.over}"
        client.call(f"{pair.name}__announce", {"kind": kind, "item": item})
        until(
            lambda kind=kind, name=item["name"]: (
                f"{pair.name}__{name}" in [found["name"] for found in client.ask(f"{kind}/list", {})["result"][kind]]
            ),
            "the list has it",
        )
    client.hear("notifications/tools/list_changed", stream)
    assert not client.notified("notifications/prompts/list_changed")


@cell("list changes of a kind that was not asked for", pairs=OLD_CLIENT)
def test_an_old_client_hears_of_all_lists(visitor: Visitors, pair: Pair) -> None:
    client = visitor(pair)
    stream = client.listen()
    item = {"name": f"q-{pair.client}-{pair.over}"}
    client.call(f"{pair.name}__announce", {"kind": "prompts", "item": item})
    client.hear("notifications/prompts/list_changed", stream)
