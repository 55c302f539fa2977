"""Updates of single resources of a server that keeps its subscriptions by session reach whoever subscribed."""

from __future__ import annotations

from .counterparts.gateways import ClientSession

DYNAMIC = "demo://resource/dynamic/text/1"


def test_updates_of_a_resource_reach_its_subscriber(session: ClientSession) -> None:
    if session.program == "fastmcp4" and session.modern:
        return  # this client cannot subscribe
    since = len(session.client.lines)
    honoured = session.client.run("subscribe", uri=DYNAMIC)
    assert not session.modern or honoured == {"resourceSubscriptions": [DYNAMIC]}
    assert "Started" in session.text("everything", "toggle-subscriber-updates")
    session.client.wait_for_event("updated", lambda event: event == [DYNAMIC], since)
    assert "Stopped" in session.text("everything", "toggle-subscriber-updates")
    session.client.run("unsubscribe", uri=DYNAMIC)
