"""A session over HTTP+SSE: its stream, its messages, and what becomes of them when the server misbehaves."""

from __future__ import annotations

import json

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ConnectionDropped, Credentials, RequestNotSent, ServerUnavailable, TransportFault

from .scripted_server import (
    ACCEPTED,
    ENDPOINT,
    STREAM,
    Server,
    answer_at_once,
    connected,
    event,
    listening,
    message,
    refusal,
    write_for_ever,
)


def leaf(error):
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    return error


async def open_and_close(entry):
    async with connected(entry):
        pass


async def open_error(server, **entry):
    """Return why a session does not open, and everything that was said of it."""
    async with listening(server) as origin:
        with pytest.raises((MCPError, ServerUnavailable)) as caught:
            await open_and_close({"url": f"{origin}/sse?key=s3cr3t", **entry})
    found = leaf(caught.value)
    assert "s3cr3t" not in f"{found!r}{found}"
    return found


async def test_every_request_has_the_credentials_and_no_other_headers_of_the_callers():
    server = Server()
    async with listening(server) as origin:
        url = origin.replace("//", "//me:pw@") + "/sse"
        async with connected({"url": url}, Credentials.of({"X-Api-Key": "k"})) as wire:
            assert await wire.send(params={"a": 1}) == {"jsonrpc": "2.0", "id": 5, "result": {"a": 1}}
    stream, post = (head.lower() for head in server.heads)
    assert stream.startswith(b"get /sse http/1.1")
    assert post.startswith(b"post /messages?session_id=1 http/1.1")
    for head in (stream, post):
        assert b"\r\nx-api-key: k\r\n" in head
        assert b"\r\nauthorization: basic bwu6chc=\r\n" in head
        assert b"\r\naccept-encoding: identity\r\n" in head
        assert b"\r\nuser-agent: mcp-orchestration-gateway\r\n" in head


async def test_a_header_of_the_callers_wins_over_the_urls_login():
    server = Server()
    async with listening(server) as origin:
        url = origin.replace("//", "//me:pw@") + "/sse"
        async with connected({"url": url}, Credentials.of({"Authorization": "Bearer t"})):
            pass
    assert b"\r\nauthorization: bearer t\r\n" in server.heads[0].lower()


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:1/messages", "https://{host}/messages", "//other.test/m", "http://me:pw@{host}/m", "http://[/"],
)
async def test_an_endpoint_at_another_origin_gets_nothing(endpoint):
    server = Server()
    async with listening(server) as origin:
        host = origin.removeprefix("http://")
        server.opening = STREAM + b"event: endpoint\ndata: %b\n\n" % endpoint.format(host=host).encode()
        with pytest.raises(ServerUnavailable, match="endpoint of messages") as caught:
            async with connected({"url": f"{origin}/sse"}):
                pass
    assert caught.value.permanent
    assert len(server.heads) == 1


@pytest.mark.parametrize("endpoint", ["{origin}/messages?a=b", "messages?a=b", "/messages?a=b"])
async def test_an_endpoint_of_the_same_origin_may_be_written_in_any_way(endpoint):
    server = Server()
    async with listening(server) as origin:
        server.opening = STREAM + b"event: endpoint\ndata: %b\n\n" % endpoint.format(origin=origin).encode()
        async with connected({"url": f"{origin}/sse"}) as wire:
            await wire.send()
    assert server.heads[1].startswith(b"POST /messages?a=b HTTP/1.1")


async def test_a_later_endpoint_changes_nothing():
    server = Server()
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        await server.tell(b"event: endpoint\ndata: http://127.0.0.1:1/elsewhere\n\n")
        assert (await wire.send())["id"] == 5
    assert server.heads[1].startswith(b"POST /messages?session_id=1 ")


@pytest.mark.parametrize(
    "opening, code, words",
    [
        (refusal("404 Not Found"), TransportFault.UNSUPPORTED, "HTTP 404"),
        (refusal("405 Method Not Allowed"), TransportFault.UNSUPPORTED, "HTTP 405"),
        (refusal("400 Bad Request"), TransportFault.UNSUPPORTED, "HTTP 400"),
        (refusal("200 OK", "content-type: text/html\r\n", b"<p>"), TransportFault.UNSUPPORTED, "text/html"),
        (refusal("401 Unauthorized", "www-authenticate: Bearer a\r\n"), TransportFault.UNAUTHORIZED, "HTTP 401"),
        (refusal("503 Unavailable", "retry-after: 3\r\n"), TransportFault.UNREACHABLE, "HTTP 503"),
        (refusal("307 Moved", "location: http://127.0.0.1:1/s?key=s3cr3t\r\n"), TransportFault.UNREACHABLE, "leads to"),
    ],
)
async def test_a_refused_stream_says_what_kind_of_refusal_it_is(opening, code, words):
    error = await open_error(Server(opening))
    assert isinstance(error, MCPError)
    assert (error.code, words in error.message) == (code, True)
    data = error.error.data
    assert data.get("challenge") == ("Bearer a" if "401" in words else None)
    assert data.get("retryAfter") == ("3" if "503" in words else None)


@pytest.mark.parametrize(
    "opening", [STREAM, STREAM + b": ping\n\n", b""], ids=["at once", "after a comment", "no head"]
)
async def test_a_stream_that_ends_before_the_endpoint_is_an_error_at_once(opening):
    server = Server(opening)

    async def end(*_):
        server.streams.append(_[1])
        _[1].write(opening)
        _[1].close()

    server.serve = end
    assert isinstance(await open_error(server), ServerUnavailable)


async def test_events_without_an_end_are_read_up_to_the_bound():
    server = Server(STREAM)
    entry = {"GATEWAY_MAX_RESULT_BYTES": 10_000, "GATEWAY_KEPT_RESULT_BYTES": 0}

    async def flood(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(STREAM + b"event: endpoint\ndata: ")
        server.written = await write_for_ever(writer, b"x" * 65536)

    server.serve = flood
    error = await open_error(server, **entry)
    assert "GATEWAY_MAX_RESULT_BYTES" in str(error)


async def test_a_message_over_the_limit_ends_the_session_and_says_which_setting():
    server = Server()
    # The limit of a message is never below that of a list, 8 MiB.
    entry = {"GATEWAY_MAX_RESULT_BYTES": 10_000, "GATEWAY_KEPT_RESULT_BYTES": 0}
    begun = []

    async def receive(origin):
        async with connected({"url": f"{origin}/sse", **entry}) as wire:
            begun.append(wire.begin())
            await server.until_asked(1)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.tell, b"event: message\ndata: " + b"x" * (9 << 20))
                await wire.closed.wait()

    async with listening(server) as origin:
        with pytest.raises(BaseExceptionGroup) as caught:
            await receive(origin)
    assert "GATEWAY_MAX_RESULT_BYTES" in str(leaf(caught.value))
    assert begun[0].ended.is_set()


async def test_a_result_over_the_sdks_limit_arrives():
    server = Server()
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        text = "x" * 3_000_000
        assert (await wire.send(params={"text": text}))["result"]["text"] == text
        assert (await wire.send(6))["id"] == 6


@pytest.mark.parametrize(
    "response, result",
    [
        (b'{"jsonrpc":"2.0","id":5,"result":{"t":"cut \\ud83d"}}', {"t": "cut \ufffd"}),
        (b'{"jsonrpc":"2.0","id":"5","result":{}}', {}),
        (b'{"jsonrpc":"2.0","id":5.0,"result":{}}', {}),
        (b'{"id":5,"result":{}}', {}),
        (b'{"jsonrpc":"2.0","id":5,"result":"text"}', "text"),
        (b'[{"jsonrpc":"2.0","id":5,"result":{"of":"an array"}}]', {"of": "an array"}),
        (b'{"jsonrpc":"2.0",\r\ndata: "id":5,\ndata: "result":{}}', {}),
    ],
    ids=["surrogate", "id as text", "id as fraction", "no version", "no object", "array", "lines"],
)
async def test_odd_responses_arrive(response, result):
    async def answer(server, head, body, writer):
        writer.write(ACCEPTED)
        await server.tell(event(response))

    server = Server(script=answer)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        assert (await wire.send())["result"] == result


async def test_what_is_no_message_is_dropped_and_the_session_goes_on():
    server = Server()
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        await server.tell(event(b"no json") + event(b"7") + event(b"") + b"event: odd\ndata: x\n\n: ping\n\nid: 3\n\n")
        assert (await wire.send())["id"] == 5


async def test_notifications_come_in_their_order_between_long_messages():
    server = Server()
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        for number in range(6):
            params = {"n": number, "text": "x" * (1_200_000 if number % 2 else 1)}
            await server.tell(event(json.dumps({"jsonrpc": "2.0", "method": "m", "params": params}).encode()))
        await wire.send()
    assert [json.loads(one)["params"]["n"] for one in wire.unasked] == list(range(6))


@pytest.mark.parametrize(
    "answer, code, status",
    [
        (refusal("404 Not Found", body=b"Could not find session"), TransportFault.SESSION_LOST, 404),
        (refusal("400 Bad Request", body=b"No transport found for sessionId"), TransportFault.SESSION_LOST, 400),
        (refusal("400 Bad Request", body=b"Could not parse message"), TransportFault.UNREACHABLE, 400),
        (refusal("401 Unauthorized"), TransportFault.UNAUTHORIZED, 401),
        (refusal("500 Oh"), TransportFault.UNREACHABLE, 500),
        (refusal("307 Moved", "location: http://127.0.0.1:1/m\r\n"), TransportFault.UNREACHABLE, 307),
        (refusal("303 Moved", "location: /m\r\n"), TransportFault.UNREACHABLE, 303),
    ],
)
async def test_a_refused_message_fails_alone(answer, code, status):
    async def refuse_first(server, head, body, writer):
        if len(server.bodies) == 1:
            writer.write(answer)
        else:
            await answer_at_once(server, head, body, writer)

    server = Server(script=refuse_first)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        with pytest.raises(MCPError) as caught:
            await wire.send()
        assert (caught.value.code, caught.value.error.data["status"]) == (code, status)
        assert (await wire.send(6))["id"] == 6


async def test_a_redirect_within_the_origin_takes_the_message_along():
    async def move(server, head, body, writer):
        if head.startswith(b"POST /messages?"):
            writer.write(refusal("307 Temporary Redirect", "location: /messages/?session_id=1\r\n"))
        else:
            await answer_at_once(server, head, body, writer)

    server = Server(script=move)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        assert (await wire.send(params={"a": 1}))["result"] == {"a": 1}
        assert (await wire.send(6))["id"] == 6
    assert [head.split(b" ")[1] for head in server.heads[1:]] == [
        b"/messages?session_id=1",
        b"/messages/?session_id=1",
        b"/messages/?session_id=1",
    ]


async def test_a_message_that_is_accepted_late_holds_up_no_other():
    release = anyio.Event()

    async def hold_first(server, head, body, writer):
        if len(server.bodies) == 1:
            await release.wait()
        await answer_at_once(server, head, body, writer)

    server = Server(script=hold_first)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        held = wire.begin(1)
        await server.until_asked(1)
        assert (await wire.send(2))["id"] == 2
        release.set()
        assert (await held.response())["id"] == 1


async def test_a_response_may_come_before_its_message_is_accepted():
    async def answer_first(server, head, body, writer):
        await server.tell(event(message(json.loads(body)["id"], result={})))

    server = Server(script=answer_first)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        assert [(await wire.send(number))["id"] for number in (1, 2)] == [1, 2]


async def test_a_message_that_is_answered_but_never_accepted_does_not_keep_its_connection():
    hung_up = anyio.Event()

    async def answer_only(server, head, body, writer):
        await server.tell(event(message(json.loads(body)["id"], result={})))
        server.on_hang_up = hung_up.set

    server = Server(script=answer_only)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        await wire.send()
        await hung_up.wait()
        assert not wire.closed.is_set()


async def test_a_notification_that_is_never_accepted_is_given_up(monkeypatch):
    monkeypatch.setattr("mcp_gateway_transport_sse.message_streams._ACCEPT_SECONDS", 0.05)
    hung_up = anyio.Event()

    async def ignore(server, head, body, writer):
        server.on_hang_up = hung_up.set

    server = Server(script=ignore)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        with pytest.raises(MCPError, match="did not accept a message"):
            await wire.channel.send(b'{"jsonrpc":"2.0","method":"notifications/x"}', {})
        await hung_up.wait()


async def test_an_abandoned_message_is_given_up():
    hung_up = anyio.Event()

    async def hold(server, head, body, writer):
        await writer.wait_closed()
        hung_up.set()

    server = Server()

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            server.streams.append(writer)
            writer.write(server.opening)
            return
        server.bodies.append(head)
        server.asked.set()
        await reader.read()
        hung_up.set()
        writer.close()

    server.serve = serve
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        heard = wire.begin()
        await server.until_asked(1)
        heard.abandon()
        await hung_up.wait()
    assert heard.outcomes == []


async def test_an_answer_to_a_message_without_an_end_is_not_read_to_it():
    ended = anyio.Event()

    async def flood(server, head, body, writer):
        writer.write(b"HTTP/1.1 202 Accepted\r\n\r\n")
        await server.tell(event(message(json.loads(body)["id"], result={})))
        assert await write_for_ever(writer, b"x" * 65536) < 64 << 20
        ended.set()

    server = Server(script=flood)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        assert (await wire.send())["id"] == 5
        await ended.wait()


async def test_a_server_that_goes_away_ends_the_session_and_its_requests():
    async def accept(server, head, body, writer):
        writer.write(ACCEPTED)

    server = Server(script=accept)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        heard = wire.begin()
        await server.until_asked(1)
        server.end_streams()
        with pytest.raises(ConnectionDropped):
            await heard.response()
        await wire.closed.wait()
        with pytest.raises(RequestNotSent):
            await wire.send(6)


async def test_a_connection_that_breaks_while_a_message_is_sent_leaves_its_outcome_open():
    async def hang_up(server, head, body, writer):
        writer.close()

    server = Server(script=hang_up)
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        with pytest.raises(ConnectionDropped):
            await wire.send()


async def test_a_message_that_json_does_not_hold_fails_alone():
    server = Server()
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        heard_deep = wire.begin(7, json.loads("[" * 260 + "]" * 260))
        await heard_deep.ended.wait()
        assert (await wire.send())["id"] == 5


async def test_the_first_message_that_a_server_gets_is_initialize():
    server = Server()
    async with listening(server) as origin, connected({"url": f"{origin}/sse"}) as wire:
        with pytest.raises(MCPError, match="older than server/discover"):
            await wire.send(method="server/discover")
        await wire.send(method="initialize")
    assert [json.loads(body)["method"] for body in server.bodies] == ["initialize"]


async def test_compressed_events_are_refused_before_they_are_unpacked():
    opening = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n" + ENDPOINT
    error = await open_error(Server(opening))
    assert "compresses" in error.message
