"""Definitions in Redis: shared, with a time to live, without secrets, and never in the way."""

from __future__ import annotations

import signal
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from .support.gateways import Launcher, free_port, plain_entry, read_log, redis_server, until
from .support.raw_clients import HttpClient, Json


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


def test_a_warm_redis_makes_a_second_gateway_search_at_once(launcher: Launcher, tmp_path: Path, port: int) -> None:
    log = tmp_path / "log"
    config = launcher.config(plain_entry("plain", log, env={"TOKEN": "S3CRET"}))
    first = launcher.start_http(config, **shared(port))
    assert search(first.url)["tools"][0]["tool_name"] == "plain__echo"
    first.end()
    second = launcher.start_http(config, **shared(port))
    assert search(second.url)["tools"][0]["tool_name"] == "plain__echo"
    assert len(read_log(log, "start")) == 1, "the second gateway had no need to start the server"
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
    launcher: Launcher, tmp_path: Path, port: int, backend: str
) -> None:
    log = tmp_path / "log"
    url, _ = launcher.start_plain_http(log=log)
    config = launcher.config({"name": "plain", "url": url})
    variables = {**shared(port), "STORAGE_BACKEND": backend, "MCP_GATEWAY_TOOL_CACHE_TTL": "1"}
    gateway = launcher.start_http(config, **variables)
    assert search(gateway.url)["tools"]
    asked = len(read_log(log, "tools/list"))
    until(
        lambda: search(gateway.url)["tools"] and len(read_log(log, "tools/list")) > asked, "the server is asked again"
    )


def test_within_their_time_they_are_not_asked_for_again(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "log"
    url, _ = launcher.start_plain_http(log=log)
    gateway = launcher.start_http(launcher.config({"name": "plain", "url": url}))
    assert [bool(search(gateway.url)["tools"]) for _ in range(5)] == [True] * 5
    assert len(read_log(log, "tools/list")) == 2, "two pages, once"


def test_a_redis_that_is_away_at_the_start_is_a_warning(launcher: Launcher, tmp_path: Path) -> None:
    port = free_port()
    gateway = launcher.start_http(launcher.config(plain_entry("plain")), **shared(port))
    warning = gateway.wait_for("storage failed")
    assert warning["level"] == "warning"
    assert search(gateway.url)["tools"][0]["tool_name"] == "plain__echo"


@contextmanager
def frozen_redis(folder: Path) -> Iterator[int]:
    """Have a real Redis whose process is stopped: it is connected to, and never answers."""
    port = free_port()
    with redis_server(folder, port) as popen:
        popen.send_signal(signal.SIGSTOP)
        try:
            yield port
        finally:
            popen.send_signal(signal.SIGCONT)


@contextmanager
def black_hole(_: Path) -> Iterator[int]:
    """Have an address at which nobody even says that there is nothing: connecting never ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        port = int(server.getsockname()[1])
        for _number in range(4):  # fill the queue of those who wait to be let in
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@pytest.mark.parametrize("servers", [1, 20])
@pytest.mark.parametrize("away", [frozen_redis, black_hole])
def test_a_redis_that_never_answers_delays_no_first_search(
    launcher: Launcher, tmp_path: Path, away: Callable[[Path], AbstractContextManager[int]], servers: int
) -> None:
    url, _ = launcher.start_plain_http()
    config = launcher.config(*({"name": f"plain{number}", "url": url} for number in range(servers)))
    with away(tmp_path) as port:
        gateway = launcher.start_http(config, **shared(port))
        began = time.monotonic()
        found = search(gateway.url)
        seconds = time.monotonic() - began
    assert found["tools"][0]["tool_name"].endswith("__echo")
    assert found["servers"] == []
    assert seconds < 8, "each wait for it came on top of the others, which was more than ten seconds"


def test_what_was_withheld_while_pins_could_not_be_read_comes_back_with_redis(
    launcher: Launcher, tmp_path: Path
) -> None:
    config = launcher.config({"name": "plain", "url": launcher.start_plain_http()[0]})
    port = free_port()
    gateway = launcher.start_http(config, GATEWAY_PINNING="block", **shared(port))
    found = search(gateway.url)
    assert found["tools"] == []
    assert "withheld" in found["servers"][0]
    with redis_server(tmp_path, port):
        until(lambda: search(gateway.url)["tools"], "its tools are there")


def test_a_bomb_in_redis_is_refused_with_its_key_and_takes_no_memory(
    launcher: Launcher, tmp_path: Path, port: int
) -> None:
    config = launcher.config({"name": "plain", "url": launcher.start_plain_http()[0]})
    first = launcher.start_http(config, **shared(port))
    assert search(first.url)["tools"]
    first.end()
    packing, zeros = zlib.compressobj(9), b"0" * (1 << 20)
    # After a full flush, a piece does not depend on what came before: one is packed, and repeated.
    first_piece, piece = (packing.compress(zeros) + packing.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    bomb = first_piece + piece * 1299
    with Redis(port=port) as redis:
        keys = [key for key in redis.keys("*") if b":pins:" in key or b":offer:" in key]
        assert len(keys) == 2
        for key in keys:
            redis.set(key, redis.get(key).partition(b"\n")[0] + b"\n" + bomb)
    second = launcher.start_http(config, GATEWAY_PINNING="block", **shared(port))
    found = search(second.url)
    assert found["tools"] == [], "nobody can tell whether its definitions have changed"
    pins, offer = sorted(keys)
    said = second.wait_for("stored definitions unreadable")
    assert (said["key"], said["reason"]) == (offer.decode(), "it is larger than 128 MiB")
    said = second.wait_for("pins unavailable")
    assert f"the value of {pins.decode()} cannot be read: it is larger than 128 MiB" in said["reason"]
    peak = next(line for line in Path(f"/proc/{second.popen.pid}/status").read_text().splitlines() if "VmHWM" in line)
    assert int(peak.split()[1]) < 700_000, "KiB, where it was far more than a million"


def test_a_redis_that_goes_away_and_comes_back_is_survived(launcher: Launcher, tmp_path: Path) -> None:
    port = free_port()
    config = launcher.config(plain_entry("plain"))
    with ExitStack() as stack:
        stack.enter_context(redis_server(tmp_path, port))
        gateway = launcher.start_http(config, **shared(port))
        assert search(gateway.url)["tools"]
    client = HttpClient(gateway.url, modern=True)
    assert client.call("discover_tools", {"server_name": "plain"})["result"]["structuredContent"]["success"]
    gateway.wait_for("storage failed")
    assert client.call("plain__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    with redis_server(tmp_path, port):
        assert client.call("discover_tools", {"server_name": "plain"})["result"]["structuredContent"]["success"]
        gateway.wait_for("storage recovered")


def test_garbage_in_redis_is_replaced(launcher: Launcher, port: int) -> None:
    config = launcher.config(plain_entry("plain"))
    first = launcher.start_http(config, **shared(port))
    assert search(first.url)["tools"]
    first.end()
    with Redis(port=port) as redis:
        key = redis.keys("*")[0]
        redis.set(key, b'{"definitions": [7]}')
    second = launcher.start_http(config, **shared(port))
    assert search(second.url)["tools"][0]["tool_name"] == "plain__echo"
