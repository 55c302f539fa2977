"""Bodies that the SDK's client reads: bounded, whatever the server says of them."""

from __future__ import annotations

import gzip
from itertools import repeat

import httpx2
import pytest
from mcp_gateway_transport_http.client.http_errors import ErrorMappingClient
from starlette.responses import Response, StreamingResponse

ASKED = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
MOST = 100_000


def app_of(response):
    async def app(scope, receive, send):
        await response(scope, receive, send)

    return app


@pytest.fixture
async def post(serve):
    """Return what asks a server that answers so."""
    async with ErrorMappingClient(None, MOST) as client:

        async def send(response):
            request = client.build_request("POST", serve(app_of(response)), json=ASKED)
            return await client.send(request, stream=True)

        yield send


@pytest.mark.parametrize("status", [200, 201, 206])
async def test_an_answer_without_an_end_is_read_up_to_the_bound(post, status):
    body = repeat(b" " * 1000)
    answer = await post(StreamingResponse(body, status, media_type="application/json"))
    assert f"its answer has more than {MOST} bytes" in answer.json()["error"]["message"]


@pytest.mark.parametrize("status", [400, 500, 503])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_a_refusal_without_an_end_is_a_refusal(post, status, kind):
    answer = await post(StreamingResponse(repeat(b" " * 1000), status, media_type=kind))
    assert f"HTTP {status}" in answer.json()["error"]["message"]


async def test_what_is_compressed_is_bounded_by_what_comes_out(post):
    packed = gzip.compress(bytes(MOST * 10))
    assert len(packed) < MOST
    answer = await post(Response(packed, headers={"content-encoding": "gzip"}, media_type="application/json"))
    assert f"more than {MOST} bytes" in answer.json()["error"]["message"]


async def test_what_is_compressed_twice_is_refused(post):
    packed = gzip.compress(gzip.compress(b"{}"))
    answer = await post(Response(packed, headers={"content-encoding": "gzip, gzip"}, media_type="application/json"))
    assert "compressed more than once" in answer.json()["error"]["message"]


async def test_a_redirect_without_an_end_is_not_read(serve):
    where = {"location": "/other"}
    url = serve(app_of(StreamingResponse(repeat(b" " * 1000), 307, where)))
    async with ErrorMappingClient() as client:
        answer = await client.send(client.build_request("POST", url, json=ASKED), stream=True)
        assert (answer.status_code, answer.content) == (307, b"")
        assert answer.next_request is not None
        assert answer.next_request.url.path == "/other"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_nobody_reads_is_not_read(serve, method):
    url = serve(app_of(StreamingResponse(repeat(b" " * 1000), 200, media_type="text/plain")))
    async with ErrorMappingClient() as client:
        answer = await client.request(method, url)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_events_reach_the_sdk_as_they_were(post):
    stream = b'\xef\xbb\xbf: hi\n\nid: 7\nretry: 250\ndata:\n\ndata: {"a":\rdata: 1}\r\r\n'
    stream += b"id: 8\r\ndata: \xef\xbb\xbf{}\r\n\r\n"
    answer = await post(Response(stream, media_type="text/event-stream"))
    found = [(event.id, event.retry, event.data) async for event in httpx2.EventSource(answer)]
    assert [each for each in found if each[2]] == [("7", None, '{"a":\n1}'), ("8", None, "{}")]
    assert ("7" in [each[0] for each in found], 250 in [each[1] for each in found]) == (True, True)


@pytest.mark.parametrize("digits", [10, 4000, 5000])
async def test_a_pause_that_is_too_long_reaches_nobody(post, digits):
    stream = b"retry: " + b"9" * digits + b"\nid: 1\ndata:\n\n"
    answer = await post(Response(stream, media_type="text/event-stream"))
    assert {event.retry for event in [each async for each in httpx2.EventSource(answer)]} <= {None, 1000}


async def test_an_event_without_an_end_becomes_the_error_that_says_so(post):
    answer = await post(StreamingResponse(repeat(b"data: x\n"), 200, media_type="text/event-stream"))
    (event,) = [each async for each in httpx2.EventSource(answer) if each.data]
    assert f"an event of its answer has more than {MOST} bytes" in event.json()["error"]["message"]
