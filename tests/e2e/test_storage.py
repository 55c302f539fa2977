"""Definitions in Redis: shared, with a time to live, without secrets, and never in the way."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis
from support import Workshop, free_port, lines_of, plain_entry, redis_server, until
from wire import HttpClient, Json


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with redis_server(tmp_path, port):
        yield port


def shared(port: int, **more: str) -> dict[str, str]:
    return {"STORAGE_BACKEND": "redis", "REDIS_URL": f"redis://127.0.0.1:{port}/0", **more}


def search(url: str, query: str = "echo arguments") -> Json:
    found: Json = HttpClient(url, modern=True).call("tool_search", {"query": query})["result"]["structuredContent"]
    return found


def test_a_warm_redis_makes_a_second_gateway_search_at_once(workshop: Workshop, tmp_path: Path, port: int) -> None:
    log = tmp_path / "log"
    config = workshop.config(plain_entry("plain", log, env={"TOKEN": "S3CRET"}))
    first = workshop.listening(config, **shared(port))
    assert search(first.url)["tools"][0]["tool_name"] == "plain__echo"
    first.end()
    second = workshop.listening(config, **shared(port))
    assert search(second.url)["tools"][0]["tool_name"] == "plain__echo"
    assert len(lines_of(log, "start")) == 1, "the second gateway had no need to start the server"
    with Redis(port=port) as redis:
        keys = sorted(key for key in redis.keys("*") if not key.startswith(b"mcp-gateway:1:pins:plain:"))
        (pins,) = redis.keys("mcp-gateway:1:pins:plain:*")
        assert 300 * 86400 < redis.ttl(pins) <= 400 * 86400, "pins are there, too, and stay far longer"
        beginnings = (b"mcp-gateway:5:offer:plain:", b"mcp-gateway:5:stamp:plain:")
        assert [key.startswith(each) for key, each in zip(keys, beginnings, strict=True)] == [True, True]
        assert all(0 < redis.ttl(key) <= 86400 for key in keys)
        said = zlib.decompress(redis.get(keys[0]).partition(b"\n")[2])
        assert b"Returns its arguments" in said
        assert not any(b"S3CRET" in value for value in (said, *(redis.get(key) for key in redis.keys("*"))))


@pytest.mark.parametrize("backend", ["memory", "redis"])
def test_definitions_are_asked_for_again_when_their_time_is_over(
    workshop: Workshop, tmp_path: Path, port: int, backend: str
) -> None:
    log = tmp_path / "log"
    url, _ = workshop.plain_http(log=log)
    config = workshop.config({"name": "plain", "url": url})
    variables = {**shared(port), "STORAGE_BACKEND": backend, "MCP_GATEWAY_TOOL_CACHE_TTL": "1"}
    gateway = workshop.listening(config, **variables)
    assert search(gateway.url)["tools"]
    asked = len(lines_of(log, "tools/list"))
    until(
        lambda: search(gateway.url)["tools"] and len(lines_of(log, "tools/list")) > asked, "the server is asked again"
    )


def test_within_their_time_they_are_not_asked_for_again(workshop: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    url, _ = workshop.plain_http(log=log)
    gateway = workshop.listening(workshop.config({"name": "plain", "url": url}))
    assert [bool(search(gateway.url)["tools"]) for _ in range(5)] == [True] * 5
    assert len(lines_of(log, "tools/list")) == 2, "two pages, once"


def test_a_redis_that_is_away_at_the_start_is_a_warning(workshop: Workshop, tmp_path: Path) -> None:
    port = free_port()
    gateway = workshop.listening(workshop.config(plain_entry("plain")), **shared(port))
    warning = gateway.wait_for("storage does not work; the gateway goes on without sharing definitions")
    assert warning["level"] == "warning"
    assert search(gateway.url)["tools"][0]["tool_name"] == "plain__echo"


def test_a_redis_that_goes_away_and_comes_back_is_survived(workshop: Workshop, tmp_path: Path) -> None:
    port = free_port()
    config = workshop.config(plain_entry("plain"))
    with ExitStack() as stack:
        stack.enter_context(redis_server(tmp_path, port))
        gateway = workshop.listening(config, **shared(port))
        assert search(gateway.url)["tools"]
    client = HttpClient(gateway.url, modern=True)
    assert client.call("discover_tools", {"server_name": "plain"})["result"]["structuredContent"]["success"]
    gateway.wait_for("storage does not work; the gateway goes on without sharing definitions")
    assert client.call("plain__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    with redis_server(tmp_path, port):
        assert client.call("discover_tools", {"server_name": "plain"})["result"]["structuredContent"]["success"]
        gateway.wait_for("storage works again")


def test_garbage_in_redis_is_replaced(workshop: Workshop, port: int) -> None:
    config = workshop.config(plain_entry("plain"))
    first = workshop.listening(config, **shared(port))
    assert search(first.url)["tools"]
    first.end()
    with Redis(port=port) as redis:
        key = redis.keys("*")[0]
        redis.set(key, b'{"definitions": [7]}')
    second = workshop.listening(config, **shared(port))
    assert search(second.url)["tools"][0]["tool_name"] == "plain__echo"
