import socket
import threading
from typing import Any

import anyio
import pytest
from mcp_gateway_storage_redis import mcp_gateway_storage_backends
from mcp_gateway_storage_redis.storage import _escape_glob
from pydantic import ValidationError

from mcp_gateway.plugin import ConfigError, StorageError

(PROVIDER,) = mcp_gateway_storage_backends()
QUICKLY = 20


def at(url: str) -> Any:
    return PROVIDER.bind({"REDIS_URL": url}).open()


async def test_it_opens_though_redis_is_away(redis_server):
    async with at(redis_server.url):
        pass


async def test_redis_away_is_a_storage_error_at_once_and_never_shows_the_password(redis_server):
    async with at(redis_server.url) as storage:
        with anyio.fail_after(QUICKLY):
            for deed in (storage.get("a"), storage.set("a", b"1"), storage.delete("a"), anext(storage.keys(""))):
                with pytest.raises(StorageError, match="redis: ") as caught:
                    await deed
                assert "s3cr3t" not in str(caught.value)


async def test_it_recovers_when_redis_comes_back(redis_server):
    redis_server.start()
    async with at(redis_server.url) as storage:
        await storage.set("a", b"1")
        redis_server.stop()
        with pytest.raises(StorageError):
            await storage.get("a")
        redis_server.start()
        await storage.set("a", b"2")
        assert await storage.get("a") == b"2"


async def test_a_restart_between_two_uses_goes_unnoticed(redis_server):
    redis_server.start()
    async with at(redis_server.url) as storage:
        await storage.set("a", b"1")
        redis_server.stop()
        redis_server.start()
        await storage.set("a", b"2")
        assert await storage.get("a") == b"2"


async def test_a_wrong_password_is_a_storage_error_that_does_not_show_it(redis_server):
    redis_server.start()
    url = redis_server.url.replace("s3cr3t", "wr0ng-s3cr3t")
    async with at(url) as storage:
        with pytest.raises(StorageError) as caught:
            await storage.get("a")
    assert "s3cr3t" not in str(caught.value)


async def test_a_redis_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://:s3cr3t@127.0.0.1:{silent.getsockname()[1]}/0"
        async with at(url) as storage:
            with anyio.fail_after(QUICKLY), pytest.raises(StorageError):
                await storage.get("a")


async def test_what_is_not_redis_is_a_storage_error():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_answer_in_http, args=(listening,))
        thread.start()
        async with at(f"redis://127.0.0.1:{listening.getsockname()[1]}/0") as storage:
            with pytest.raises(StorageError):
                await storage.get("a")
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(QUICKLY)


def _answer_in_http(listening: socket.socket) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def test_two_gateways_see_the_same_keys(redis_url):
    async with at(redis_url) as one, at(redis_url) as two:
        await one.set("shared", b"1")
        assert await two.get("shared") == b"1"
        assert await two.delete("shared") is True
        assert await one.get("shared") is None


async def test_many_callers_wait_for_a_connection_instead_of_failing(redis_url):
    async with at(redis_url) as storage, anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(storage.get, "a")


async def test_an_option_in_the_url_that_decodes_answers_does_no_harm(redis_url):
    async with at(f"{redis_url}?decode_responses=true") as storage:
        await storage.set("decoded", b"1")
        assert await storage.get("decoded") == b"1"
        assert "decoded" in [key async for key in storage.keys("decoded")]


def test_a_url_of_something_else_is_refused_without_showing_it():
    with pytest.raises(ValidationError) as caught:
        PROVIDER.bind({"REDIS_URL": "http://:s3cr3t@localhost"})
    assert "redis://" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_the_default_is_a_redis_on_this_machine():
    assert PROVIDER.options.model_validate({}).url.get_secret_value() == "redis://localhost:6379/0"


def test_the_characters_of_redis_patterns_are_escaped():
    assert _escape_glob("a*?[b]^-\\") == r"a\*\?\[b\]\^\-\\"


@pytest.mark.parametrize("url", ["redis://:s3cr3t@localhost:abc/0", "redis://:s3cr3t@[::1", "redis://h:99999/0"])
def test_a_url_that_cannot_be_read_is_refused_without_showing_it(url):
    with pytest.raises(ValidationError, match="it is no URL that can be read") as caught:
        PROVIDER.bind({"REDIS_URL": url})
    assert "s3cr3t" not in str(caught.value)


async def test_an_option_in_the_url_that_makes_no_sense_is_an_error_that_names_the_variable():
    with pytest.raises(ConfigError, match="REDIS_URL: it cannot be used") as caught:
        async with at("redis://localhost/0?socket_timeout=s3cr3t"):
            pass
    assert "s3cr3t" not in str(caught.value)
