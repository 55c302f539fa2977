"""Announcements: what is one, whose it is, and that odd ones break nothing."""

from __future__ import annotations

import pytest
from msgspec import Raw

from mcp_gateway.client.announcements import Announcements, Subscription
from mcp_gateway.protocol.raw_json import encode_members

LIST, UPDATED = "notifications/tools/list_changed", "notifications/resources/updated"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
NAME = "io.modelcontextprotocol/subscriptionId"


class Hearing:
    """Announcements with a subscription of the id 7, and all that was heard of them."""

    def __init__(self):
        self.announced, self.acknowledged, self.updated = [], [], []
        subscription = Subscription(self.acknowledged.append, self.updated.append)
        self.announcements = Announcements(lambda *heard: self.announced.append(heard), {7: subscription})

    def tell(self, method, params):
        return self.announcements.on_notification(method, encode_members(params))


def of(subscription_id, **params):
    return {**params, "_meta": {NAME: subscription_id}}


@pytest.mark.parametrize("method", ["notifications/message", "notifications/progress", "notifications/x/list_changed"])
def test_what_belongs_to_a_request_is_no_announcement(method):
    hearing = Hearing()
    assert hearing.tell(method, of(7)) is False
    assert (hearing.announced, hearing.updated) == ([], [])


@pytest.mark.parametrize("name", ["tools", "prompts", "resources"])
@pytest.mark.parametrize("params", [{}, {"a": [2**70]}])
def test_a_changed_list_is_one(name, params):
    hearing = Hearing()
    assert hearing.tell(f"notifications/{name}/list_changed", params) is True
    assert hearing.announced == [(f"notifications/{name}/list_changed", params)]


@pytest.mark.parametrize("name", [7, "7", 7.0])
def test_what_belongs_to_a_subscription_is_heard_there(name):
    hearing = Hearing()
    hearing.tell(ACKNOWLEDGED, of(name, notifications={"toolsListChanged": True}))
    hearing.tell(UPDATED, of(name, uri="x://y"))
    assert hearing.acknowledged == [{"toolsListChanged": True}]
    assert [params["uri"] for params in hearing.updated] == ["x://y"]
    assert hearing.announced == []


@pytest.mark.parametrize("name", [8, "8", None, True, [7], {"7": 7}, "", "seven", 7.5, "9" * 5000, "\u0667"])
def test_what_belongs_to_no_subscription_is_heard_by_all_and_its_acknowledgement_by_nobody(name):
    hearing = Hearing()
    hearing.tell(ACKNOWLEDGED, of(name, notifications={}))
    hearing.tell(UPDATED, of(name, uri="x://y"))
    assert (hearing.acknowledged, hearing.updated) == ([], [])
    assert [method for method, _ in hearing.announced] == [UPDATED]


@pytest.mark.parametrize("honoured", [None, 3, [], "x"])
def test_an_acknowledgement_of_an_odd_shape_honours_nothing(honoured):
    hearing = Hearing()
    hearing.tell(ACKNOWLEDGED, of(7, notifications=honoured))
    assert hearing.acknowledged == [{}]


@pytest.mark.parametrize("meta", [None, 3, [], "x"])
def test_a_meta_that_is_no_object_names_no_subscription(meta):
    hearing = Hearing()
    assert hearing.tell(LIST, {"_meta": meta})
    assert len(hearing.announced) == 1


@pytest.mark.parametrize("raw", [b"9" * 5000, b"[" * 900 + b"]" * 900])
def test_one_that_cannot_be_read_is_a_value_error(raw):
    hearing = Hearing()
    with pytest.raises(ValueError, match=r".+"):
        hearing.announcements.on_notification(LIST, {"a": Raw(raw)})
    assert hearing.announced == []
