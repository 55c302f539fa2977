"""Progress of many calls at once: each report arrives before the response that it belongs to, and none is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from .support.gateways import GATEWAY, Launcher, plain_entry
from .support.matrix import ERAS, TRANSPORTS
from .support.raw_clients import HttpClient, Json, StdioClient

CALLS, CALLERS = 640, 16
"""How many calls are made for each pair, and how many at the same time."""
REPORTS = [1, 2, 3]


def call_of(token: str) -> tuple[str, Json]:
    arguments = {"seconds": 0, "steps": len(REPORTS)}
    return "tools/call", {"name": "plain__slow", "arguments": arguments, "_meta": {"progressToken": token}}


def progress_of(messages: list[Json], token: str) -> list[int]:
    return [
        message["params"]["progress"]
        for message in messages
        if message.get("method") == "notifications/progress" and message["params"]["progressToken"] == token
    ]


def entry(launcher: Launcher, era: str, over: str) -> Json:
    if over == "stdio":
        return plain_entry("plain", None, "--era", era)
    return {"name": "plain", "url": launcher.start_plain_http("--era", era)[0]}


@pytest.mark.parametrize("over", TRANSPORTS)
@pytest.mark.parametrize("server_era", ERAS)
@pytest.mark.parametrize("client_era", ERAS)
def test_over_http_no_report_is_lost_or_overtaken(
    launcher: Launcher, client_era: str, server_era: str, over: str
) -> None:
    gateway = launcher.start_http(launcher.config(entry(launcher, server_era, over)))

    def call_often(caller: int) -> Iterator[list[int]]:
        client = HttpClient(gateway.url, modern=client_era == "modern")
        with closing(client.connect()) as connection:
            for number in range(CALLS // CALLERS):
                token = f"{caller}-{number}"
                messages = list(iter(client.begin(*call_of(token), connection).next, None))
                assert messages[-1]["result"]["content"]
                yield progress_of(messages[:-1], token)

    assert count(call_often) == [REPORTS] * CALLS


def count(call_often: Callable[[int], Iterator[list[int]]]) -> list[list[int]]:
    with ThreadPoolExecutor(CALLERS) as pool:
        return [heard for each in pool.map(lambda caller: list(call_often(caller)), range(CALLERS)) for heard in each]


@pytest.mark.parametrize("over", TRANSPORTS)
@pytest.mark.parametrize("server_era", ERAS)
@pytest.mark.parametrize("client_era", ERAS)
def test_over_stdio_no_report_is_lost_or_overtaken(
    launcher: Launcher, client_era: str, server_era: str, over: str
) -> None:
    environment = launcher.environment(launcher.config(entry(launcher, server_era, over)))
    client = StdioClient(process=launcher.start([GATEWAY], environment), modern=client_era == "modern")
    for first in range(0, CALLS, CALLERS):
        tokens = [str(first + number) for number in range(CALLERS)]
        begun = [(token, client.begin(*call_of(token))) for token in tokens]
        for token, request_id in begun:
            assert client.finish(request_id)["result"]["content"]
            # Whatever comes later is not among the messages yet.
            assert progress_of(client.messages, token) == REPORTS
        client.messages.clear()
