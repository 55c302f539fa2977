"""What is written on the stream of a client's request: what the client wants, and no more."""

from __future__ import annotations

import json

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.protocol.client_channel import ALONE
from mcp_gateway.protocol.raw_json import encode_members
from mcp_gateway.server.pipeline.delivery import ClientRequests, open_channel

from ...support.era_client import LEVEL
from ...support.raw_client import RawClient

PROGRESS, MESSAGE, LIST_CHANGED = (
    "notifications/progress",
    "notifications/message",
    "notifications/tools/list_changed",
)


def channel(writer, *, modern, level=None, **meta):
    return open_channel(writer, "ann", ClientRequests(), encode_members(meta), level, modern=modern)


async def test_a_modern_client_that_asks_for_nothing_is_told_nothing():
    for meta in ({}, {"progressToken": None}, {LEVEL: "unknown"}, {LEVEL: 3}):
        assert channel(RawClient(), modern=True, **meta) is ALONE


@pytest.mark.parametrize("modern", [True, False])
async def test_progress_has_the_clients_token_and_every_other_field_as_it_came(modern):
    writer = RawClient()
    opened = channel(writer, modern=modern, progressToken="ü")
    assert opened.wants_progress
    opened.notify(PROGRESS, encode_members({"progressToken": 7, "progress": 1, "vendor": [None]}))
    assert json.dumps(writer.messages) == json.dumps(
        [
            {
                "jsonrpc": "2.0",
                "method": PROGRESS,
                "params": {"progressToken": "ü", "progress": 1, "vendor": [None]},
            }
        ]
    )


async def test_without_a_token_no_progress_is_written():
    writer = RawClient()
    opened = channel(writer, modern=False)
    opened.notify(PROGRESS, encode_members({"progress": 1}))
    assert (writer.written, opened.wants_progress) == ([], False)


@pytest.mark.parametrize(
    "modern, level, expected",
    [
        (True, "warning", ["error", "odd"]),
        (True, "debug", ["debug", "error", "odd"]),
        (False, None, ["debug", "error", "odd"]),
        (False, "warning", ["error", "odd"]),
    ],
)
async def test_log_messages_are_written_from_the_level_on_and_those_of_unknown_levels_too(modern, level, expected):
    writer = RawClient()
    meta = {LEVEL: level} if modern else {}
    opened = channel(writer, modern=modern, level=level, **meta)
    assert opened.log_level == level
    for sent in ("debug", "error", "odd"):
        opened.notify(MESSAGE, encode_members({"level": sent, "data": 1}))
    assert [message["params"]["level"] for message in writer.messages] == expected


async def test_other_notifications_are_for_the_handshake_era_alone():
    for modern, expected in ((True, []), (False, [LIST_CHANGED])):
        writer = RawClient()
        channel(writer, modern=modern, progressToken=1).notify(LIST_CHANGED, {})
        assert [message["method"] for message in writer.messages] == expected


@pytest.mark.parametrize("modern", [True, False])
async def test_a_client_that_does_not_read_is_congested(modern):
    writer = RawClient()
    opened = channel(writer, modern=modern, progressToken=1)
    assert not opened.is_congested()
    writer.is_congested = True
    assert opened.is_congested()


async def test_a_modern_client_is_not_asked_on_its_stream():
    assert channel(RawClient(), modern=True, progressToken=1).ask is None


async def test_questions_to_a_client_that_has_left_fail_and_others_stay():
    requests, writers, failed = ClientRequests(), {"ann": RawClient(), "bob": RawClient()}, []

    async def ask(name):
        try:
            await requests.ask(name, writers[name], "roots/list", {})
        except MCPError as error:
            failed.append((name, error.error.message))

    async with anyio.create_task_group() as tasks:
        for name in writers:
            tasks.start_soon(ask, name)
        await anyio.wait_all_tasks_blocked()
        requests.forget("ann")
        await anyio.wait_all_tasks_blocked()
        assert failed == [("ann", "the client has left")]
        assert [asked.client for asked in requests._open.values()] == ["bob"]
        tasks.cancel_scope.cancel()
    assert [message["method"] for message in writers["bob"].messages] == ["roots/list", "notifications/cancelled"]
    assert requests._open == requests._of_stream == {}
