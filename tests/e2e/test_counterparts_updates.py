"""Updates of single resources of a server that keeps its subscriptions by session reach whoever subscribed."""

from __future__ import annotations

from .counterparts.gateways import Visit

DYNAMIC = "demo://resource/dynamic/text/1"


def test_updates_of_a_resource_reach_its_subscriber(visit: Visit) -> None:
    if visit.program == "fastmcp4" and visit.modern:
        return  # this client cannot subscribe
    since = len(visit.person.lines)
    honoured = visit.person.do("subscribe", uri=DYNAMIC)
    assert not visit.modern or honoured == {"resourceSubscriptions": [DYNAMIC]}
    assert "Started" in visit.text("everything", "toggle-subscriber-updates")
    visit.person.heard("updated", lambda told: told == [DYNAMIC], since)
    assert "Stopped" in visit.text("everything", "toggle-subscriber-updates")
    visit.person.do("unsubscribe", uri=DYNAMIC)
