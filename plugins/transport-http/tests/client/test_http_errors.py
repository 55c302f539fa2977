import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_gateway_transport_http import mcp_gateway_client_transports
from mcp_gateway_transport_http.client.http_errors import ErrorMappingClient
from mcp_gateway_transport_http.jsonrpc import is_message
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_gateway.plugin import Credentials, TransportFault
from mcp_gateway_testkit import Session, reference_server, session

(PROVIDER,) = mcp_gateway_client_transports()
RPC_ERROR = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "Bad arguments", "data": {"a": None}}}
Handler = Callable[[Request], Awaitable[Response]]


def answering(response: Callable[[], Response]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await response()(scope, receive, send)

    return app


async def fault(url: str, **headers: str) -> dict[str, Any]:
    async with ErrorMappingClient() as client:
        response = await client.post(url, json={}, headers={name.replace("_", "-"): v for name, v in headers.items()})
    assert response.headers["content-type"] == "application/json"
    return response.json()["error"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_unauthorized_whatever_the_server_wrote(serve, status):
    url = serve(answering(lambda: JSONResponse(RPC_ERROR, status)))
    error = await fault(url)
    assert error["code"] == TransportFault.UNAUTHORIZED
    assert error["data"] == {"status": status}
    assert f"HTTP {status}" in error["message"]


async def test_404_within_a_session_is_its_end(serve):
    url = serve(answering(lambda: JSONResponse(RPC_ERROR, 404)))
    assert (await fault(url, mcp_session_id="abc"))["code"] == TransportFault.SESSION_LOST


@pytest.mark.parametrize("message", ["Bad Request: No valid session ID provided", "Session not found"])
async def test_400_that_speaks_of_the_session_is_its_end_too(serve, message):
    url = serve(answering(lambda: JSONResponse({"jsonrpc": "2.0", "error": {"code": -32000, "message": message}}, 400)))
    assert (await fault(url, mcp_session_id="abc"))["code"] == TransportFault.SESSION_LOST
    assert (await fault(url))["code"] == -32000


async def test_an_error_whose_envelope_is_sloppy_is_passed_on(serve):
    error = {"code": -32000, "message": "Over the limit"}
    url = serve(answering(lambda: JSONResponse({"error": error}, 400)))
    assert await fault(url) == error


async def test_404_without_a_session_is_a_wrong_address(serve):
    url = serve(answering(lambda: PlainTextResponse("no such page", 404)))
    error = await fault(url)
    assert (error["code"], error["data"]) == (TransportFault.UNREACHABLE, {"status": 404})


@pytest.mark.parametrize("status", [400, 404, 405, 410, 429, 500, 502, 599])
async def test_any_other_failure_is_unreachable(serve, status):
    url = serve(answering(lambda: PlainTextResponse("<html>s3cr3t</html>", status)))
    error = await fault(url)
    assert (error["code"], error["data"]["status"]) == (TransportFault.UNREACHABLE, status)
    assert "s3cr3t" not in str(error)


async def test_the_time_after_which_to_try_again_is_told(serve):
    url = serve(answering(lambda: PlainTextResponse("busy", 503, headers={"Retry-After": "7"})))
    assert (await fault(url))["data"] == {"status": 503, "retryAfter": "7"}


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_json_rpc_error_of_the_servers_own_passes_through(serve, status):
    url = serve(answering(lambda: JSONResponse(RPC_ERROR, status)))
    async with ErrorMappingClient() as client:
        response = await client.post(url, json={})
    assert (response.status_code, response.json()) == (status, RPC_ERROR)


@pytest.mark.parametrize("body", ["{", "[]", '{"error": "text"}', '{"error": {}}', "\x00"], ids=ascii)
async def test_json_that_is_no_json_rpc_error_does_not(serve, body):
    url = serve(answering(lambda: Response(body, 400, media_type="application/json")))
    assert (await fault(url))["code"] == TransportFault.UNREACHABLE


async def test_a_refused_connection_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = await fault(f"http://127.0.0.1:{port}/mcp")
    assert error["code"] == TransportFault.UNREACHABLE
    assert "refuses connections" in error["message"]


async def test_an_address_that_does_not_exist_is_unreachable():
    assert (await fault("http://nowhere.invalid/mcp"))["code"] == TransportFault.UNREACHABLE


async def test_a_get_that_cannot_be_sent_raises_as_ever():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with ErrorMappingClient() as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/mcp")


async def test_a_refusal_of_a_get_keeps_its_status_and_is_not_read(serve):
    url = serve(answering(lambda: PlainTextResponse("no stream here", 405)))
    async with ErrorMappingClient() as client:
        response = await client.get(url)
    assert (response.status_code, response.content) == (405, b"")


async def test_a_redirect_is_left_to_the_client(serve):
    url = serve(answering(lambda: RedirectResponse("/elsewhere", 307)))
    async with ErrorMappingClient() as client:
        assert (await client.post(url, json={})).status_code == 307


@asynccontextmanager
async def reached(url: str, **headers: str) -> AsyncIterator[Session]:
    async with (
        PROVIDER.bind({"url": url}).open() as transport,
        session(transport.connect(Credentials.of(headers))) as it,
    ):
        yield it


async def opened(url: str, **headers: str) -> str:
    async with reached(url, **headers) as client:
        return await client.text("echo", say="hi")


async def test_a_session_that_cannot_be_opened_says_why(serve):
    url = serve(answering(lambda: PlainTextResponse("who are you?", 401)))
    with pytest.RaisesGroup(pytest.RaisesExc(MCPError, match="HTTP 401"), flatten_subgroups=True):
        await opened(url)


async def test_credentials_are_sent_with_every_request(serve):
    inner = reference_server().streamable_http_app()
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(dict(scope["headers"]).get(b"x-api-key"))
        await inner(scope, receive, send)

    assert await opened(f"{serve(app)}/mcp", **{"X-Api-Key": "k"}) == "hi"
    assert len(seen) > 2
    assert set(seen) == {b"k"}


async def test_one_failed_request_does_not_end_the_session(serve):
    inner = reference_server().streamable_http_app()
    broken: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and broken:
            broken.pop()
            await PlainTextResponse("oops", 502)(scope, receive, send)
        else:
            await inner(scope, receive, send)

    async with reached(f"{serve(app)}/mcp") as client:
        assert await client.text("echo", say="here") == "here"
        broken.append(True)
        with pytest.raises(MCPError) as caught:
            await client.text("echo", say="lost")
        assert caught.value.error.code == TransportFault.UNREACHABLE
        assert await client.text("echo", say="still here") == "still here"


async def test_a_redirect_to_another_host_does_not_take_the_credentials_along(serve):
    seen: list[bytes | None] = []

    async def foreign_app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(dict(scope["headers"]).get(b"x-api-key"))
            await PlainTextResponse("thanks", 400)(scope, receive, send)

    elsewhere = serve(foreign_app)
    url = serve(answering(lambda: RedirectResponse(f"{elsewhere}/mcp", 307)))
    with pytest.raises(ExceptionGroup):
        await opened(url, **{"X-Api-Key": "s3cr3t"})
    assert b"s3cr3t" not in seen


ASKED = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda: Response("<html>", media_type="text/html"), "text/html instead of JSON"),
        (lambda: Response("{", media_type="application/json"), "no JSON-RPC message"),
        (lambda: JSONResponse([]), "no JSON-RPC message"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_fault_of_the_server(serve, answer, said):
    url = serve(answering(answer))
    async with ErrorMappingClient() as client:
        error = (await client.post(url, json=ASKED)).json()["error"]
    assert error["code"] == TransportFault.UNREACHABLE
    assert said in error["message"]


async def test_an_answer_that_breaks_off_is_a_fault_of_the_server():
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def half(stream):
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{")

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, half)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with ErrorMappingClient() as client:
            request = client.build_request("POST", f"http://127.0.0.1:{port}", json=ASKED)
            error = (await client.send(request, stream=True)).json()["error"]
        tasks.cancel_scope.cancel()
    assert error["code"] == TransportFault.UNREACHABLE
    assert "in the middle of its answer" in error["message"]


@pytest.mark.parametrize(
    "data, so",
    [
        ('{"jsonrpc":"2.0","id":1,"result":{}}', True),
        ('{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"no"}}', True),
        ('{"jsonrpc":"2.0","method":"x"}', True),
        ('{"jsonrpc":"2.0","id":1,"result":[]}', False),
        ('{"jsonrpc":"2.0","id":1}', False),
        ("{}", False),
        ("[]", False),
        ("[" * 10_000, False),
        ("", False),
    ],
)
def test_a_message_is_told_from_what_is_none(data, so):
    assert is_message(data) is so
