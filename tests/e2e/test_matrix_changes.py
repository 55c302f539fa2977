"""Both eras on both sides: what servers say without being asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .support.gateways import until
from .support.matrix import (
    ERAS,
    NEW_CLIENT,
    OLD_CLIENT,
    TRANSPORTS,
    ClientFactory,
    MatrixGateway,
    Pair,
    cell,
    fresh_name,
    open_clients,
    open_matrix_gateway,
)
from .support.raw_clients import HttpClient, Stream

UPDATED = "notifications/resources/updated"
CHANGES = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixGateway]:
    with open_matrix_gateway(tmp_path_factory.mktemp("changes")) as gateway:
        yield gateway


@pytest.fixture
def make_client(gateway: MatrixGateway) -> Iterator[ClientFactory]:
    with open_clients(gateway.url) as make_client:
        yield make_client


def subscribe(client: HttpClient, uri: str) -> Stream:
    if client.modern:
        stream = client.listen(resourceSubscriptions=[uri], **CHANGES)
        (honoured,) = client.notifications("notifications/subscriptions/acknowledged")
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


def count_subscriptions(gateway: MatrixGateway, pair: Pair, uri: str) -> int:
    """Return how often the server was asked to announce updates."""
    listens = [
        params["notifications"].get("resourceSubscriptions") for params in gateway.logged(pair, "subscriptions/listen")
    ]
    return listens.count([uri]) + gateway.logged(pair, "resources/subscribe").count({"uri": uri})


@cell("resource subscriptions")
def test_only_a_subscriber_is_notified_of_updates(
    make_client: ClientFactory, gateway: MatrixGateway, pair: Pair
) -> None:
    uri, name = f"plain://{pair.name}/b", f"{pair.client}-{pair.name}"
    subscriber, other = make_client(pair), make_client(pair, headers={"authorization": "other"})
    streams = subscribe(subscriber, uri), other.listen(**CHANGES)

    def touch() -> bool:
        return bool(other.call(f"{pair.name}__touch", {"uri": uri})["result"]["structuredContent"]["heard"])

    assert touch()
    heard = subscriber.wait_for_notification(UPDATED, streams[0])
    heard.get("_meta", {}).pop("io.modelcontextprotocol/subscriptionId", None)
    assert {**heard, "_meta": {}} == {"uri": uri, "vendorField": {"z": None, "a": 1.0}, "_meta": {}}
    unsubscribe(subscriber, uri, streams[0])
    until(lambda: not touch(), "the server hears that nobody is subscribed any more")
    item = {"name": f"after-{name}"}
    other.ask("prompts/list", {})
    other.call(f"{pair.name}__announce", {"kind": "prompts", "item": item})
    other.wait_for_notification("notifications/prompts/list_changed", streams[1])
    assert not other.notifications(UPDATED)


@cell("resource subscriptions of two clients")
def test_the_last_of_two_subscribers_ends_the_server_s_subscription(
    make_client: ClientFactory, gateway: MatrixGateway, pair: Pair
) -> None:
    uri = f"plain://{pair.name}/b"
    one, two = (make_client(pair, headers={"authorization": name}) for name in ("one", "two"))
    before = count_subscriptions(gateway, pair, uri)
    streams = subscribe(one, uri), subscribe(two, uri)
    assert count_subscriptions(gateway, pair, uri) == before + 1
    touch = {"name": f"{pair.name}__touch", "arguments": {"uri": uri}}
    one.ask("tools/call", touch)
    assert [
        one.wait_for_notification(UPDATED, streams[0])["uri"],
        two.wait_for_notification(UPDATED, streams[1])["uri"],
    ] == [uri, uri]
    unsubscribe(one, uri, streams[0])
    one.ask("tools/call", touch)
    assert two.wait_for_notification(UPDATED, streams[1])["uri"] == uri
    unsubscribe(two, uri, streams[1])
    until(
        lambda: not one.ask("tools/call", touch)["result"]["structuredContent"]["heard"],
        "the server hears that nobody is subscribed any more",
    )


@cell("list changes")
def test_a_changed_list_is_announced_and_only_its_server_asked_again(
    make_client: ClientFactory, gateway: MatrixGateway, pair: Pair
) -> None:
    others = [Pair("", era, over) for era in ERAS for over in TRANSPORTS if f"{over}-{era}" != pair.name]
    client = make_client(pair)
    stream = client.listen(**CHANGES)
    before = [len(gateway.logged(other, "tools/list")) for other in others]
    name = f"new-{pair.client}-{pair.over}"
    uri = f"plain://{pair.name}/{name}"
    for kind, item, key, listed in (
        ("prompts", {"name": name}, "name", f"{pair.name}__{name}"),
        ("resources", {"name": name, "uri": uri}, "uri", uri),
        ("tools", {"name": name, "inputSchema": {"type": "object"}}, "name", f"{pair.name}__{name}"),
    ):
        client.ask(f"{kind}/list", {})
        client.call(f"{pair.name}__announce", {"kind": kind, "item": item})
        client.wait_for_notification(f"notifications/{kind}/list_changed", stream)
        assert listed in [found[key] for found in client.ask(f"{kind}/list", {})["result"][kind]]
        found = client.call("tool_search", {"query": name, "max_results": 3})["result"]["structuredContent"]["tools"]
        assert kind != "tools" or listed in [tool["tool_name"] for tool in found]
    assert [len(gateway.logged(other, "tools/list")) for other in others] == before


@cell("list changes of a kind that was not asked for", pairs=NEW_CLIENT)
def test_a_new_client_is_notified_of_the_lists_that_it_wants(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client(pair)
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
    client.wait_for_notification("notifications/tools/list_changed", stream)
    assert not client.notifications("notifications/prompts/list_changed")


@cell("list changes of a kind that was not asked for", pairs=OLD_CLIENT)
def test_an_old_client_is_notified_of_the_lists_that_it_has_asked_for(make_client: ClientFactory, pair: Pair) -> None:
    client, other = make_client(pair), make_client(pair)
    streams = client.listen(), other.listen()
    client.ask("tools/list", {})
    other.ask("prompts/list", {})
    for kind, item in (("prompts", {"name": "q"}), ("tools", {"name": "u", "inputSchema": {"type": "object"}})):
        item["name"] = fresh_name(pair, f"{kind}-{pair.client}-{pair.over}")
        client.call(f"{pair.name}__announce", {"kind": kind, "item": item})
    client.wait_for_notification("notifications/tools/list_changed", streams[0])
    other.wait_for_notification("notifications/prompts/list_changed", streams[1])
    assert not client.notifications("notifications/prompts/list_changed")
    assert not other.notifications("notifications/tools/list_changed")
