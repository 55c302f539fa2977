"""How a response may be written: framing, codings, content types, ids, events. Each row is one answer on the wire."""

from __future__ import annotations

import gzip
import zlib
from itertools import repeat

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerUnavailable, TransportFault

from .scripted_server import ANSWER, NEWS, chunked, response, scripted

BOM = b"\xef\xbb\xbf"
EVENT = b"data: " + ANSWER + b"\n\n"
EVENTS = "text/event-stream"
PADDED = ANSWER.replace(b"{}", b'{"text":"%b"}' % (b"x" * 300_000))
FOREIGN = ANSWER.replace(b":5", b":7")
CUT = object()
"""The connection closes behind it."""

pytestmark = pytest.mark.parametrize("carrier", ["direct", "httpx"])


def head(*lines: str, version: str = "HTTP/1.1", status: str = "200 OK") -> bytes:
    return "\r\n".join([f"{version} {status}", *lines, "", ""]).encode("latin-1")


def raw_deflate(data: bytes) -> bytes:
    pack = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return pack.compress(data) + pack.flush()


def coded(coding: str, body: bytes, kind: str = "application/json") -> bytes:
    return response(body, kind=kind, more=f"content-encoding: {coding}\r\n")


JSON = "content-type: application/json"
LENGTH = f"content-length: {len(ANSWER)}"
FRAMING = {
    "length": [head(JSON, LENGTH) + ANSWER],
    "length, cut anywhere": [bytes([byte]) for byte in head(JSON, LENGTH) + ANSWER],
    "head and body apart": [head(JSON, LENGTH), ANSWER],
    "chunks": [chunked(ANSWER[:7], ANSWER[7:], kind="application/json")],
    "chunks, cut anywhere": [bytes([byte]) for byte in chunked(ANSWER[:7], ANSWER[7:], kind="application/json")],
    "chunk extensions and a trailer": [
        head(JSON, "transfer-encoding: chunked") + b"%x;a=b\r\n%b\r\n0\r\nx-sum: 1\r\n\r\n" % (len(ANSWER), ANSWER)
    ],
    "chunks of events": [chunked(EVENT[:9], EVENT[9:])],
    "the end of the connection": [head(JSON) + ANSWER, CUT],
    "the end of the connection, apart": [head(JSON), ANSWER[:9], ANSWER[9:], CUT],
    "events until the end of the connection": [head(f"content-type: {EVENTS}") + EVENT, CUT],
    "HTTP/1.0": [head(JSON, version="HTTP/1.0") + ANSWER, CUT],
    "HTTP/1.0 with a length": [head(JSON, LENGTH, version="HTTP/1.0") + ANSWER, CUT],
    "connection: close": [head(JSON, LENGTH, "connection: close") + ANSWER, CUT],
    "connection: close, though it stays": [head(JSON, LENGTH, "connection: close") + ANSWER],
    "upgrade": [head(JSON, LENGTH, "connection: upgrade", "upgrade: h2c") + ANSWER],
    "upgrade with chunks": [chunked(ANSWER, kind="application/json", more="connection: Upgrade\r\nupgrade: h2c\r\n")],
    "upgrade until the end": [head(JSON, "connection: upgrade", "upgrade: h2c") + ANSWER, CUT],
    "no reason": [head(JSON, LENGTH, status="200 ") + ANSWER],
    "headers that are not ASCII": [head(JSON, LENGTH, "x-name: \xe9\xff") + ANSWER],
    "spaces around values": [head("Content-Type: \t application/json \t", LENGTH) + ANSWER],
    "long": [response(PADDED)],
    "long, in chunks": [
        chunked(*[PADDED[at : at + 999] for at in range(0, len(PADDED), 999)], kind="application/json")
    ],
}


@pytest.mark.parametrize("name", FRAMING)
async def test_a_response_has_one_meaning_however_it_is_framed(carrier, name):
    pieces = FRAMING[name]

    async def write(writer):
        for piece in pieces:
            if piece is CUT:
                writer.close()
                return
            writer.write(piece)
            await writer.drain()
            await anyio.lowlevel.checkpoint()

    async with scripted(write, response(ANSWER), carrier=carrier) as wire:
        assert await wire.send() == (PADDED if "long" in name else ANSWER)
        assert await wire.send() == ANSWER
        assert len(wire.requests) == 2


BROKEN = {
    "less than its length": [head(JSON, "content-length: 999") + ANSWER, CUT],
    "chunks without an end": [chunked(ANSWER[:9], kind="application/json").removesuffix(b"0\r\n\r\n"), CUT],
    "no HTTP": [b"SSH-2.0-x\r\n\r\n", CUT],
    "HTTP/2": [b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", CUT],
    "half a head": [b"HTTP/1.1 200 OK\r\ncontent-ty", CUT],
    "an interim response alone": [b"HTTP/1.1 100 Continue\r\n\r\n", CUT],
    "two lengths": [head(JSON, LENGTH, "content-length: 1") + ANSWER, CUT],
    "an event that is not finished": [head(f"content-type: {EVENTS}") + EVENT.removesuffix(b"\n"), CUT],
}


@pytest.mark.parametrize("name", BROKEN)
async def test_of_a_response_that_is_none_nobody_knows_what_was_carried_out(carrier, name):
    async def write(writer):
        writer.write(BROKEN[name][0])
        writer.close()

    async with scripted(write, carrier=carrier) as wire:
        with pytest.raises(ConnectionDropped):
            await wire.send()
        assert len(wire.requests) == 1


CODED = {
    "identity": response(ANSWER, more="content-encoding: identity\r\n"),
    "gzip": coded("gzip", gzip.compress(ANSWER)),
    "GZIP": coded("GZIP", gzip.compress(ANSWER)),
    "x-gzip": coded("x-gzip", gzip.compress(ANSWER)),
    "members of gzip": coded("gzip", gzip.compress(ANSWER[:9]) + gzip.compress(ANSWER[9:])),
    "gzip and padding": coded("gzip", gzip.compress(ANSWER) + bytes(40)),
    "deflate": coded("deflate", zlib.compress(ANSWER)),
    "raw deflate": coded("deflate", raw_deflate(ANSWER)),
    "gzip of events": coded("gzip", gzip.compress(b"data: " + NEWS + b"\n\n" + EVENT), EVENTS),
    "gzip in chunks": chunked(
        *[bytes([byte]) for byte in gzip.compress(ANSWER)], kind="application/json", more="content-encoding: gzip\r\n"
    ),
    "deflate of events in chunks": chunked(
        *[bytes([byte]) for byte in zlib.compress(EVENT)], kind=EVENTS, more="content-encoding: deflate\r\n"
    ),
    "gzip until the end": head(JSON, "content-encoding: gzip") + gzip.compress(ANSWER),
}


@pytest.mark.parametrize("name", CODED)
async def test_what_is_compressed_unasked_is_read(carrier, name):
    async def write(writer):
        writer.write(CODED[name])
        if "until" in name:
            writer.close()

    async with scripted(write, response(ANSWER), carrier=carrier) as wire:
        assert await wire.send() == ANSWER
        assert await wire.send() == ANSWER
        assert b"accept-encoding: identity\r\n" in wire.requests[0]


@pytest.mark.parametrize(
    "answer, words",
    [
        (coded("compress", b"x"), "content coding 'compress'"),
        (coded("aes128gcm", b"x"), "content coding 'aes128gcm'"),
        (coded("gzip, gzip", gzip.compress(gzip.compress(ANSWER, mtime=0), mtime=0)), r"more than once \(gzip, gzip\)"),
        (coded("gzip", b"no gzip at all"), "cannot be decompressed"),
        (coded("deflate", b"no deflate at all"), "cannot be decompressed"),
        (coded("gzip", gzip.compress(ANSWER, mtime=0)[:-9]), "breaks off"),
        (coded("gzip", gzip.compress(bytes(1_000_000), mtime=0)), "its answer has more than 40000 bytes"),
        (coded("deflate", raw_deflate(bytes(1_000_000))), "its answer has more than 40000 bytes"),
        (
            coded("gzip", gzip.compress(b"data: " + bytes(1_000_000), mtime=0), EVENTS),
            "an event of its answer has more than",
        ),
    ],
)
async def test_what_cannot_be_decompressed_is_not_asked_for_again_and_the_words_say_why(carrier, answer, words):
    async with scripted(answer, response(ANSWER), carrier=carrier, max_bytes=40_000) as wire:
        with pytest.raises(ServerUnavailable, match=words) as failure:
            await wire.send()
        assert not isinstance(failure.value, ConnectionDropped | RequestNotSent)
        assert await wire.send() == ANSWER


@pytest.mark.parametrize("status", [400, 502])
async def test_a_refusal_may_be_compressed_too(carrier, status):
    error = b'{"jsonrpc":"2.0","id":5,"error":{"code":-1,"message":"no"}}'
    packed = response(gzip.compress(error), f"{status} No", more="content-encoding: gzip\r\n")
    async with scripted(packed, carrier=carrier) as wire:
        assert await wire.send() == error
    odd = response(b"what", f"{status} No", more="content-encoding: compress\r\n")
    async with scripted(odd, carrier=carrier) as wire:
        with pytest.raises(MCPError, match=f"HTTP {status}"):
            await wire.send()


@pytest.mark.parametrize("status", [200, 201, 206])
async def test_an_answer_without_an_end_is_read_up_to_the_bound(carrier, status):
    async def endless(writer):
        writer.write(f"HTTP/1.1 {status} OK\r\n{JSON}\r\n\r\n".encode())
        for piece in repeat(b" " * 1000):
            writer.write(piece)
            await writer.drain()

    async with scripted(endless, carrier=carrier, max_bytes=100_000) as wire:
        with pytest.raises(ServerUnavailable, match="its answer has more than 100000 bytes"):
            await wire.send()


KINDS = {
    "charset": response(ANSWER, kind="application/json; charset=utf-8"),
    "capitals": response(ANSWER, kind="Application/JSON"),
    "json of another name": response(ANSWER, kind="application/vnd.api+json"),
    "text": response(ANSWER, kind="text/plain"),
    "html": response(ANSWER, kind="text/html; charset=iso-8859-1"),
    "octets": response(ANSWER, kind="application/octet-stream"),
    "none": head(LENGTH) + ANSWER,
    "events that are JSON": response(ANSWER, kind=EVENTS),
    "events that are JSON in chunks": chunked(ANSWER[:9], ANSWER[9:]),
    "events in capitals": response(EVENT, kind="Text/Event-Stream;charset=UTF-8"),
    "a mark": response(BOM + ANSWER),
    "a mark under a wrong name": response(BOM + b"\r\n" + ANSWER, kind="text/plain"),
    "a mark in events": response(BOM + EVENT, kind=EVENTS),
    "a mark in an event": response(b"data: " + BOM + ANSWER + b"\n\n", kind=EVENTS),
    "blanks": response(b"\r\n\t " + ANSWER),
    "an array": response(b"[" + ANSWER + b"]"),
    "an array with blanks": response(b" [ " + ANSWER + b" ]\n"),
    "an array with news": response(b"[" + NEWS + b"," + ANSWER + b"]"),
    "an array in an event": response(b"data: [" + ANSWER + b"]\n\n", kind=EVENTS),
}


@pytest.mark.parametrize("name", KINDS)
async def test_json_is_json_whatever_it_is_called(carrier, name):
    async with scripted(KINDS[name], response(ANSWER), carrier=carrier) as wire:
        heard, _ = wire.begin()
        assert (await heard.response()).strip() == ANSWER
        assert heard.messages == ([NEWS] if "news" in name else [])
        assert await wire.send() == ANSWER


@pytest.mark.parametrize(
    "answer, words",
    [
        (response(b"<html>", kind="text/html"), "text/html instead of JSON"),
        (response(b"{}", kind="text/html"), "text/html instead of JSON"),
        (response(b"<html>", kind="application/json"), "no JSON-RPC message"),
        (response(b"{", kind="application/json"), "no JSON-RPC message"),
        (response(b"[]", kind="application/json"), "no JSON-RPC message"),
        (response(b'"x"', kind="application/json"), "no JSON-RPC message"),
        (response(b"[" * 10_000, kind="application/json"), "no JSON-RPC message"),
        (response(b'{"jsonrpc":"2.0","id":5}'), "no JSON-RPC message"),
        (response(NEWS), "no JSON-RPC message"),
        (response(b"what", kind=""), "something unnamed instead of JSON"),
        (response(FOREIGN), "the response to another request"),
        (response(b"[" + FOREIGN + b"]"), "the response to another request"),
    ],
)
async def test_what_is_no_answer_is_a_fault_of_the_server(carrier, answer, words):
    async with scripted(answer, response(ANSWER), carrier=carrier) as wire:
        with pytest.raises(MCPError, match=words) as caught:
            await wire.send()
        assert (caught.value.error.code, caught.value.error.data) == (TransportFault.UNREACHABLE, {"status": 502})
        assert await wire.send() == ANSWER


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        b'{"result":{},"jsonrpc":"2.0","id":5}',
        b'{"jsonrpc":"2.0","id":"5","result":{}}',
        b'{"jsonrpc":"2.0","id":5.0,"result":{}}',
        b'{"jsonrpc": "2.0", "result": {"id": 7}, "id": 5}',
        b'{"id":5,"result":{}}',
        b'{"jsonrpc":"2.0","id":5,"result":{},"error":null}',
        b'{"jsonrpc":"2.0","id":5,"result":null}',
        b'{"jsonrpc":"2.0","id":5,"result":null,"error":{"code":1,"message":"no"}}',
        b'{"jsonrpc":"2.0","id":5,"error":"no"}',
        b'{"jsonrpc":"2.0","id":null,"error":{"code":"E","message":"no"}}',
        b'{"jsonrpc":"2.0","error":{"message":"no"}}',
        b'{"jsonrpc":"2.0","id":5,"result":{"half":"\\ud83e","nan":NaN}}',
        b'{"id":5,"result":{"half":"\\ud83e","nan":NaN,"inf":-Infinity,"long":' + b"9" * 5000 + b"}}",
        b'{\n  "jsonrpc": "2.0",\n  "id": 5,\n  "result": {}\n}',
    ],
)
@pytest.mark.parametrize("as_events", [True, False])
async def test_an_answer_is_known_by_its_id_and_comes_byte_for_byte(carrier, answer, as_events):
    body = b"".join(b"data: %b\n" % line for line in answer.split(b"\n")) + b"\n"
    written = response(body, kind=EVENTS) if as_events else response(answer)
    async with scripted(written, carrier=carrier) as wire:
        assert await wire.send() == answer


@pytest.mark.parametrize(
    "foreign",
    [
        FOREIGN,
        b'{"jsonrpc":"2.0","id":"05","result":{}}',
        b'{"jsonrpc":"2.0","id":5.5,"result":{}}',
        b'{"jsonrpc":"2.0","id":true,"result":{}}',
        b'{"jsonrpc":"2.0","id":[5],"result":{}}',
        b'{"jsonrpc":"2.0","id":55,"error":{"code":1,"message":"no"}}',
        b'{"jsonrpc":"2.0","result":{}}',
        b"what",
        b"{}",
        b"[" * 5000,
    ],
)
async def test_what_is_not_ours_is_never_taken_for_the_answer(carrier, foreign):
    async with scripted(response(b"data: %b\n\n" % foreign + EVENT, kind=EVENTS), carrier=carrier) as wire:
        heard, _ = wire.begin()
        assert await heard.response() == ANSWER
        assert heard.messages == []


UNNAMED = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}'


@pytest.mark.parametrize("more", ["", "id: 1\n"])
async def test_an_error_without_an_id_is_the_answer_if_no_other_comes(carrier, more):
    event = more.encode() + b"data: " + UNNAMED + b"\n\n"
    async with scripted(response(event + EVENT, kind=EVENTS), response(event, kind=EVENTS), carrier=carrier) as wire:
        assert await wire.send() == ANSWER
        assert await wire.send() == UNNAMED
        assert len(wire.requests) == 2


PING = b'{"jsonrpc":"2.0","id":5,"method":"ping"}'
STREAMS = {
    "a request of the server's with our id": (b"data: " + PING + b"\n\n" + EVENT, [PING]),
    "CR": (b"data: " + NEWS + b"\r\rdata: " + ANSWER + b"\r\r", [NEWS]),
    "CRLF": (b"data: " + NEWS + b"\r\n\r\ndata: " + ANSWER + b"\r\n\r\n", [NEWS]),
    "comments": (b": hi\n\n:\ndata: " + ANSWER + b"\n: ho\n\n", []),
    "other events": (b"event: ping\ndata: " + FOREIGN + b"\n\nevent: endpoint\ndata: /x\n\n" + EVENT, []),
    "other events that look like ours": (b"event: other\n" + EVENT.replace(b"{}", b'{"no":1}') + EVENT, []),
    "a name of its own": (b"event: message\n" + EVENT, []),
    "an empty name": (b"event:\n" + EVENT, []),
    "several lines": (b'data: {"jsonrpc":"2.0",\ndata:"id":5,"result":{}}\n\n', []),
    "fields that nobody knows": (b"x: y\nz\ndata: " + ANSWER + b"\nretry: soon\n\n", []),
    "no blank behind the colon": (b"data:" + ANSWER + b"\n\n", []),
    "empty events": (b"data:\n\ndata\n\nid: 1\n\n" + EVENT, []),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_events_are_read_by_the_letter_of_the_standard(carrier, name):
    stream, messages = STREAMS[name]
    async with scripted(response(stream, kind=EVENTS), carrier=carrier) as wire:
        heard, _ = wire.begin()
        found = await heard.response()
        assert found.replace(b"\n", b"") == ANSWER
        assert heard.messages == messages


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000, "head of its answer has more than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200, "head of its answer has more than 128 fields"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3000, "head of its answer has more than 65536 bytes"),
        (head(JSON, "transfer-encoding: chunked") + b"2;" + b"x" * 70_000, "has more than 65536 bytes"),
        (
            head(JSON, "transfer-encoding: chunked") + b"2\r\n{}\r\n0\r\nx: " + b"x" * 140_000,
            "has more than 65536 bytes",
        ),
    ],
)
async def test_what_is_no_body_is_bounded(carrier, answer, words):
    if carrier != "direct":
        pytest.skip("httpx has bounds of its own")
    async with scripted(answer) as wire:
        with pytest.raises(ServerUnavailable, match=words) as failure:
            await wire.send()
        assert not isinstance(failure.value, ConnectionDropped)


ODD = {
    "line feeds alone": head(JSON, LENGTH).replace(b"\r\n", b"\n") + ANSWER,
    "a folded field": head(JSON, "x: a", "  folded", LENGTH) + ANSWER,
    "blanks behind the length of a chunk": chunked(ANSWER, kind="application/json").replace(b"\r\n{", b"  \r\n{"),
    "a length beside chunks": chunked(ANSWER, kind="application/json", more="content-length: 99999999999\r\n"),
}


@pytest.mark.parametrize("name", ODD)
async def test_what_a_client_may_accept_is_accepted(carrier, name):
    """RFC 9112, sections 2.2, 5.2, 6.3, 7.1.1."""
    async with scripted(ODD[name], ODD[name], response(ANSWER), carrier=carrier) as wire:
        assert [await wire.send() for _ in range(3)] == [ANSWER] * 3
        assert wire.connections == 1 or name == "a length beside chunks"


async def test_what_could_be_understood_in_two_ways_ends_its_connection(carrier):
    if carrier != "direct":
        pytest.skip("it is about our own connections")
    async with scripted(ODD["a length beside chunks"], response(ANSWER)) as wire:
        assert [await wire.send() for _ in range(2)] == [ANSWER] * 2
        assert wire.connections == 2


async def test_a_body_that_comes_byte_by_byte_takes_no_more_memory_than_its_bytes(carrier):
    if carrier != "direct":
        pytest.skip("both collect alike, and this one says which pieces come")
    body = ANSWER.replace(b"{}", b'{"text":"%b"}' % (b"x" * 3000))

    async def drip(writer):
        writer.write(head(JSON, f"content-length: {len(body)}"))
        for at in range(len(body)):
            writer.write(body[at : at + 1])
            await writer.drain()
            await anyio.lowlevel.checkpoint()
            if at == len(body) - 2:
                (exchange,) = wire.channel._link.exchanges
                kept.append(len(exchange._pieces))

    kept = []
    async with scripted(drip, response(ANSWER)) as wire:
        assert await wire.send() == body
        assert await wire.send() == ANSWER
    assert kept[0] <= 2
