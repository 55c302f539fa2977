"""The table of wire cases: what a server writes for a call, what the client gets, and what the plain SDK client sees.

One row is one call. In what is written, `<id>` is the id of the gateway's request as it came, `<token>` its progress
token, `<held>` the id of an earlier request that was abandoned, and `<result>` a result whose structured content is the
row's `value`. A row without wires of its own is written over every wire: as a line of a pipe, as a JSON body, as events
of a stream. Every call is carried out once.

The last column is what the SDK's client sees that asks the same server without a gateway: "same", "else" (another
value), "error", "waits" (until it gives up); three of them where pipe, JSON and events differ.

`test_wire_cases.py` runs the table and holds the last column against the SDK; `core/docs/wire.md` is made of it:
python -m tests.e2e.support.wire_page
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

VALUE = '{"v":1}'
STDIO, JSON, SSE = "stdio", "json", "sse"
ALL = (STDIO, JSON, SSE)
STREAMS = (STDIO, SSE)
PLAIN = '{"jsonrpc":"2.0","id":<id>,"result":<result>}'
WRONG = '{"jsonrpc":"2.0","id":%s,"result":{"content":[],"structuredContent":{"v":"WRONG"}}}'
CLOSE = b""
"""A piece that closes the connection."""

HttpForm = Callable[[bytes], Sequence[bytes]]
"""Writes a JSON body as a whole HTTP response, in pieces that are sent one by one."""


@dataclass(frozen=True)
class Error:
    """A JSON-RPC error that the client gets; `words` are in its message."""

    code: int
    words: str
    data: str = ""


@dataclass(frozen=True)
class Fault:
    """A result of the gateway's that is an error, names the server and has these words."""

    words: str


@dataclass(frozen=True)
class Case:
    """A row: the name, what the server writes, what the client must get."""

    name: str
    sent: tuple[str | bytes, ...]
    value: str = VALUE
    expected: str | Error | Fault = ""
    """The structured content that arrives, if it is not `value`; or an error."""
    before: tuple[str, ...] = ()
    """What the client hears before its answer, in this order."""
    http: HttpForm | None = None
    wires: tuple[str, ...] = ALL
    libraries: tuple[str, ...] = ()
    """One of these modules is needed to read it."""
    decision: str = ""
    """Why, where it is not obvious."""
    sdk: str = "same"

    @property
    def outcome(self) -> str | Error | Fault:
        """What the client gets."""
        if self.libraries and not is_installed(*self.libraries):
            return Fault(f"content coding '{self.name}'")
        return self.expected or self.value

    def sdk_sees(self, wire: str) -> str:
        """Return what the plain SDK client sees over a wire."""
        if self.libraries and not is_installed(*self.libraries):
            return "error"
        seen = self.sdk.split()
        return seen[0] if len(seen) == 1 else seen[ALL.index(wire)]


def answer(name: str, sent: str | bytes, sdk: str = "same", **more: object) -> Case:
    """Make a row of an answer that is written in another way."""
    return Case(name, (sent,), sdk=sdk, **more)  # type: ignore[arg-type]


def value(name: str, text: str, sdk: str = "same", **more: object) -> Case:
    """Make a row of a value that arrives byte for byte."""
    return Case(name, (PLAIN,), text, sdk=sdk, **more)  # type: ignore[arg-type]


def error(name: str, sent: str, code: int, words: str, *, data: str = "", sdk: str = "error") -> Case:
    """Make a row of an error of the server's."""
    written = f'{{"jsonrpc":"2.0","id":<id>,{sent}}}'
    return Case(name, (written,), expected=Error(code, words, data), sdk=sdk)


def stream(name: str, *sent: str, sdk: str = "same", **more: object) -> Case:
    """Make a row of several messages, on the wires that carry them."""
    return Case(name, sent, sdk=sdk, **{"wires": STREAMS, **more})  # type: ignore[arg-type]


def http(name: str, form: HttpForm, sdk: str = "same", **more: object) -> Case:
    """Make a row of an HTTP response."""
    return Case(name, (PLAIN,), http=form, wires=(JSON,), sdk=sdk, **more)  # type: ignore[arg-type]


def lines(name: str, *sent: str | bytes, sdk: str = "same", **more: object) -> Case:
    """Make a row of lines on a pipe."""
    return Case(name, sent, wires=(STDIO,), sdk=sdk, **more)  # type: ignore[arg-type]


# -- forms of HTTP


def head(*headers: str, status: str = "200 OK", version: str = "HTTP/1.1") -> bytes:
    """Write a head."""
    return "\r\n".join([f"{version} {status}", *headers, "", ""]).encode("latin-1")


def whole(body: bytes, kind: str = "application/json", *headers: str, **line: str) -> bytes:
    """Write a response with its length."""
    return head(f"content-type: {kind}", f"content-length: {len(body)}", *headers, **line) + body


def coded(coding: str, pack: Callable[[bytes], bytes]) -> HttpForm:
    """Make the form of a compressed body."""
    return lambda body: [whole(pack(body), "application/json", f"content-encoding: {coding}")]


def chunks(body: bytes, size: int, kind: str = "application/json") -> bytes:
    """Write a response in chunks."""
    cut = [body[at : at + size] for at in range(0, len(body), size)]
    return (
        head(f"content-type: {kind}", "transfer-encoding: chunked")
        + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in cut)
        + b"0\r\n\r\n"
    )


def single_bytes(data: bytes) -> list[bytes]:
    """Cut data wherever it can be cut."""
    return [data[at : at + 1] for at in range(len(data))]


def raw_deflate(data: bytes) -> bytes:
    """Compress as some servers do that know nothing of zlib's envelope."""
    pack = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return pack.compress(data) + pack.flush()


def stored_brotli(data: bytes) -> bytes:
    """Write Brotli without compression (RFC 7932, section 9.2)."""
    return struct.pack("<I", (len(data) - 1) << 4 | 1 << 20)[:3] + data + b"\x03"


def stored_zstd(data: bytes) -> bytes:
    """Write Zstandard without compression (RFC 8878, section 3.1.1)."""
    block = struct.pack("<I", len(data) << 3 | 1)[:3]
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + block + data


def events(form: Callable[[bytes], bytes], kind: str = "text/event-stream") -> HttpForm:
    """Make the form of a stream of events, written by `form`."""
    return lambda body: [whole(form(body), kind)]


def is_installed(*names: str) -> bool:
    """Whether one of these modules is there."""
    return any(find_spec(name.partition(".")[0]) and find_spec(name) for name in names)


JSON_TYPE = "content-type: application/json"
EVENTS_TYPE = "content-type: text/event-stream"
BOM = b"\xef\xbb\xbf"
NEWS = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":<token>,"progress":%d}}'
LOG = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"log %d"}}'
REPORTS = tuple(NEWS % number for number in (1, 2, 3))
HEARD = tuple(f'"progress":{number}' for number in (1, 2, 3))
TEXT = '{"text":"%s"}'
NINES = "9" * 5000
UNREADABLE = "sent a response that cannot be read"

# -- the table

IDS = [
    answer("plain", PLAIN),
    answer("id as text", '{"jsonrpc":"2.0","id":"<id>","result":<result>}'),
    answer("id as a float", '{"jsonrpc":"2.0","id":<id>.0,"result":<result>}', sdk="waits error error"),
    answer("id as the text of a float", '{"jsonrpc":"2.0","id":"<id>.0","result":<result>}', sdk="waits waits same"),
    answer("id with an exponent", '{"jsonrpc":"2.0","id":<id>0e-1,"result":<result>}', sdk="waits error error"),
    answer("id at the end", '{"jsonrpc":"2.0","result":<result>,"id":<id>}'),
    answer("id twice, ours last", '{"jsonrpc":"2.0","id":0,"result":<result>,"id":<id>}'),
    answer("no jsonrpc", '{"id":<id>,"result":<result>}', sdk="waits error error"),
    answer("jsonrpc 1.0", '{"jsonrpc":"1.0","id":<id>,"result":<result>}', sdk="waits error error"),
    answer("error null beside result", '{"jsonrpc":"2.0","id":<id>,"result":<result>,"error":null}'),
    answer("error false beside result", '{"jsonrpc":"2.0","id":<id>,"result":<result>,"error":false}'),
    answer("error without members beside result", '{"jsonrpc":"2.0","id":<id>,"error":{},"result":<result>}'),
    answer("error of no text beside result", '{"jsonrpc":"2.0","id":<id>,"error":"","result":<result>}'),
    answer(
        "error of defaults beside result",
        '{"jsonrpc":"2.0","id":<id>,"error":{"code":0,"message":""},"result":<result>}',
        sdk="error",
        decision="serializers write it for none",
    ),
    answer(
        "error that says something beside result",
        '{"jsonrpc":"2.0","id":<id>,"result":{},"error":{"code":-32001,"message":"it broke"}}',
        expected=Error(-32001, "it broke"),
        sdk="error",
    ),
    answer("members that nobody knows", '{"jsonrpc":"2.0","x":[{}],"id":<id>,"result":<result>,"method":null}'),
    stream("foreign id before", WRONG % 999999, PLAIN, sdk="same - else"),
    stream("foreign text id before", WRONG % '"zzz"', PLAIN, sdk="same - else"),
    stream("foreign negative id before", WRONG % -1, PLAIN, sdk="same - else"),
    stream("foreign id true before", WRONG % "true", PLAIN, sdk="same - error"),
    stream("foreign id of 5,000 digits before", WRONG % NINES, PLAIN, sdk="same - error"),
    stream(
        "error of id null before",
        '{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"WRONG"}}',
        PLAIN,
        sdk="same - error",
        decision="it is the answer if no other comes",
    ),
    answer(
        "error of id null alone",
        '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"alone"}}',
        expected=Error(-32700, "alone"),
        sdk="waits waits error",
    ),
    answer(
        "error without id",
        '{"jsonrpc":"2.0","error":{"code":-32000,"message":"alone"}}',
        expected=Error(-32000, "alone"),
        sdk="waits error error",
    ),
    answer(
        "error of an id that is none of ours alone",
        '{"jsonrpc":"2.0","id":"server-error","error":{"code":-32700,"message":"alone"}}',
        expected=Error(-32700, "alone"),
        sdk="waits waits error",
        decision="some SDKs write such an id where they do not know the request's",
    ),
    stream("answer twice", PLAIN, WRONG % "<id>"),
    stream("stale answer of an abandoned request", WRONG % "<held>", PLAIN, sdk="same - else"),
]

OWN_ERRORS = [
    error(
        f"own error {code}",
        f'"error":{{"code":{code},"message":"own","data":{{"a":null}}}}',
        code,
        "own",
        data='{"a":null}',
    )
    for code in (-32000, -31001, -31002, -31003, -32700, 1, 0)
]

ERRORS = [
    *OWN_ERRORS,
    error("error as text", '"error":"it broke"', -32603, "it broke", sdk="waits error error"),
    error("error as a list", '"error":["it broke"]', -32603, "it broke", sdk="waits error error"),
    error(
        "error without code",
        '"error":{"message":"it broke"}',
        -32603,
        "it broke",
        sdk="waits error error",
    ),
    error("error with a code as text", '"error":{"code":"-32001","message":"it broke"}', -32001, "it broke"),
    error(
        "error with a code of letters",
        '"error":{"code":"E_BROKE","message":"it is"}',
        -32603,
        "E_BROKE: it is",
        sdk="waits error error",
    ),
    error("error with a code as a float", '"error":{"code":-32001.0,"message":"it broke"}', -32001, "it broke"),
    error("error as a number", '"error":5', -32603, "5", sdk="waits error error"),
    error("error without members", '"error":{}', -32603, "", sdk="waits error error"),
    error(
        "error with a code null",
        '"error":{"code":null,"message":"it broke"}',
        -32603,
        "it broke",
        sdk="waits error error",
    ),
    error(
        "error with a code 1e400",
        '"error":{"code":1e400,"message":"it broke"}',
        -32603,
        "it broke",
        sdk="waits error error",
    ),
    error("error with a message of digits", '"error":{"code":-1,"message":7}', -1, "7", sdk="waits error error"),
    error("error without message", '"error":{"code":-32001}', -32001, "", sdk="waits error error"),
    error(
        "error with a message that is none",
        '"error":{"code":-32001,"message":{"en":"it broke"}}',
        -32001,
        "it broke",
        sdk="waits error error",
    ),
    error("error with data null", '"error":{"code":-32001,"message":"it broke","data":null}', -32001, "it broke"),
    error("error beside result null", '"result":null,"error":{"code":-32001,"message":"it broke"}', -32001, "it broke"),
    error(
        "error with half a surrogate pair",
        '"error":{"code":1,"message":"cut \\ud83d"}',
        1,
        "cut \ufffd",
        sdk="waits error error",
    ),
    error(
        "error with big numbers",
        '"error":{"code":1,"message":"m","data":18446744073709551616}',
        1,
        "m",
        data="18446744073709551616",
    ),
    error(
        "error with a number that is infinity",
        '"error":{"code":1,"message":"m","data":{"n":1e999}}',
        1,
        "m",
        data='"{\\"n\\":1e999}"',
    ),
    answer(
        "neither result nor error", '{"jsonrpc":"2.0","id":<id>,"x":1}', expected=Fault(""), sdk="waits error error"
    ),
    answer("result null", '{"jsonrpc":"2.0","id":<id>,"result":null}', expected=Fault(""), sdk="waits error error"),
    answer("result a list", '{"jsonrpc":"2.0","id":<id>,"result":[1]}', expected=Fault(""), sdk="waits error error"),
]

VALUES = [
    value("nulls", '{"a":null,"b":[null,{"c":null}]}'),
    value("key order", '{"z":1,"a":{"y":1,"b":2},"m":3}'),
    value("empty names and values", '{"":{"":[]},"a":""}'),
    value("duplicate keys", '{"a":1,"a":2}', decision="which one counts is for the client to say"),
    value("blanks", '{ "a" : [ 1 , 2 ] }'),
    value("escapes", '{"a":"\\u0041\\/\\n\\ud83e\\udd8a"}'),
    value("2^53+1", '{"n":9007199254740993}'),
    value("2^70", '{"n":1180591620717411303424}'),
    value("1.0", '{"n":1.0,"m":-0,"k":1E5}'),
    value("1e400", '{"n":1e400}', decision="whether it is infinity is for the client to say"),
    value("number of 5,000 digits", f'{{"n":{NINES}}}', sdk="waits error error"),
    value("float of 5,000 digits", f'{{"n":0.{NINES}}}'),
    value("NaN", '{"n":NaN}', expected=Fault(UNREADABLE), decision="no JSON; no client could read it"),
    value("Infinity", '{"n":[-Infinity]}', expected=Fault(UNREADABLE), decision="no JSON; no client could read it"),
    value(
        "half a surrogate pair",
        TEXT % "cut \\ud83d",
        expected='{"text":"cut \\ufffd"}',
        sdk="waits error error",
        decision="no text has it in UTF-8",
    ),
    value(
        "halves in the wrong order",
        TEXT % "\\udd8a\\ud83e",
        expected='{"text":"\\ufffd\\ufffd"}',
        sdk="waits error error",
    ),
    value("NUL", TEXT % "a\\u0000b"),
    value("line separators", TEXT % "a\u2028b\u2029c\x85d"),
    value("nested 120 deep", f'{{"n":{"[" * 120}{"]" * 120}}}'),
    value(
        "nested 100,000 deep",
        f'{{"n":{"[" * 100_000}{"]" * 100_000}}}',
        expected=Fault("nested too deeply"),
        sdk="waits error error",
        decision="no client could read it",
    ),
    value("a megabyte", TEXT % ("x" * 1_000_000)),
    answer(
        "control character in a text",
        PLAIN,
        value='{"text":"a\tb"}',
        expected=Fault(UNREADABLE),
        sdk="waits error error",
        decision="no JSON; no client could read it",
    ),
    answer(
        "no UTF-8",
        PLAIN.encode(),
        value='{"text":"caf\udce9"}',
        expected='{"text":"caf\ufffd"}',
        sdk="error error same",
        decision="JSON is UTF-8",
    ),
    answer(
        "cut in the middle",
        '{"jsonrpc":"2.0","id":<id>,"result":{"a',
        expected=Fault(UNREADABLE),
        sdk="waits error error",
    ),
    answer("BOM", BOM + PLAIN.encode(), sdk="waits error error"),
    answer("array of one", f"[{PLAIN}]", sdk="waits error error"),
    answer("array of one, with blanks", f" [ {PLAIN} ] ", sdk="waits error error"),
    answer("array of two answers", f"[{PLAIN},{WRONG % 999999}]", sdk="waits error error"),
    answer("array of an answer and what is none", f'[1,null,"x",{PLAIN},{{}}]', sdk="waits error error"),
]

BEFORE = [
    stream("progress before the answer", *REPORTS, PLAIN, before=HEARD),
    stream("progress and the answer in an array", f"[{NEWS % 1},{PLAIN}]", before=HEARD[:1], sdk="waits - error"),
    stream("progress of another's token", NEWS.replace("<token>", '"other"') % 9, REPORTS[0], PLAIN, before=HEARD[:1]),
    stream("progress with NaN", NEWS.replace("%d", "NaN"), REPORTS[0], PLAIN, before=HEARD[:1]),
    stream(
        "progress with odd members",
        '{"jsonrpc":"2.0","params":{"progress":1e400,"x":null,"progressToken":<token>},"method":"notifications/progress"}',
        PLAIN,
        before=('"progress":1e400,"x":null',),
    ),
    stream(
        "log messages before the answer",
        LOG % 1,
        REPORTS[0],
        LOG % 2,
        PLAIN,
        before=('"log 1"', HEARD[0], '"log 2"'),
        wires=(SSE,),
    ),
    stream(
        "notification that nobody knows",
        '{"jsonrpc":"2.0","method":"notifications/x","params":[1]}',
        PLAIN,
        sdk="same - error",
    ),
    stream("request that nobody knows", '{"jsonrpc":"2.0","id":"q","method":"x/y"}', PLAIN),
]

CODINGS = [
    http("gzip", coded("gzip", gzip.compress)),
    http("x-gzip in capitals", coded("X-GZIP", gzip.compress), sdk="error"),
    http("deflate", coded("deflate", zlib.compress)),
    http("deflate without an envelope", coded("deflate", raw_deflate)),
    http("identity", coded("identity", bytes)),
    http("br", coded("br", stored_brotli), libraries=("brotli", "brotlicffi")),
    http("zstd", coded("zstd", stored_zstd), libraries=("compression.zstd", "backports.zstd", "pyzstd", "zstandard")),
    http(
        "a coding that nobody knows", coded("compress", bytes), expected=Fault("content coding 'compress'"), sdk="same"
    ),
    http(
        "gzip twice",
        coded("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
        expected=Fault("more than once"),
    ),
    http("gzip that is none", coded("gzip", bytes), expected=Fault("cannot be decompressed"), sdk="error"),
    http(
        "gzip of events",
        lambda body: [whole(gzip.compress(b"data: %b\n\n" % body), "text/event-stream", "content-encoding: gzip")],
    ),
]

FRAMING = [
    http("head and body apart", lambda body: [whole(body)[: -len(body)], body]),
    http("cut anywhere", lambda body: single_bytes(whole(body))),
    http("chunks", lambda body: [chunks(body, 7)]),
    http("chunks, cut anywhere", lambda body: single_bytes(chunks(body, 7))),
    http("framed by the end of the connection", lambda body: [head(JSON_TYPE), body, CLOSE]),
    http("events until the end of the connection", lambda body: [head(EVENTS_TYPE) + b"data: %b\n\n" % body, CLOSE]),
    http("HTTP/1.0", lambda body: [head(JSON_TYPE, version="HTTP/1.0") + body, CLOSE]),
    http("HTTP/1.0 with a length", lambda body: [whole(body, version="HTTP/1.0"), CLOSE]),
    http("connection: close", lambda body: [whole(body, "application/json", "connection: close"), CLOSE]),
    http("connection: close, though it stays", lambda body: [whole(body, "application/json", "connection: close")]),
    http("upgrade", lambda body: [whole(body, "application/json", "connection: upgrade", "upgrade: h2c")]),
    http("no reason", lambda body: [whole(body, status="200 ")]),
    http("headers that are not ASCII", lambda body: [whole(body, "application/json", "x-name: \xe9\xff")]),
    http("another status that succeeds", lambda body: [whole(body, status="201 Created")]),
    *(
        http(f"interim {status}", lambda body, status=status: [head(status=status) + whole(body)])
        for status in ("100 Continue", "102 Processing", "103 Early Hints")
    ),
    http(
        "three interim responses, apart",
        lambda body: [*[head("link: </a>", status="103 Early Hints")] * 3, whole(body)],
    ),
]

TYPES = [
    *(
        http(f"type {kind or 'of no name'}", lambda body, kind=kind: [whole(body, kind)], sdk=sdk)
        for kind, sdk in (
            ("application/json; charset=utf-8", "same"),
            ("APPLICATION/JSON", "same"),
            ("application/vnd.api+json", "error"),
            ("text/plain", "error"),
            ("text/html; charset=iso-8859-1", "error"),
            ("application/octet-stream", "error"),
            ("text/event-stream", "error"),
            ("", "error"),
        )
    ),
    http("no type", lambda body: [head(f"content-length: {len(body)}") + body], sdk="error"),
    http("HTML", lambda body: [whole(b"<html>", "text/html")], expected=Fault("text/html"), sdk="error"),
    http("empty", lambda body: [whole(b"")], expected=Fault("no JSON-RPC message"), sdk="error"),
    http("blanks around", lambda body: [whole(b"\r\n\t " + body + b"\r\n\r\n")]),
    http("pretty-printed", lambda body: [whole(body.replace(b",", b",\n  "))]),
    http("pretty-printed with CRLF", lambda body: [whole(body.replace(b",", b",\r\n\t"))]),
]

EVENTS = [
    http(name, events(form), sdk=sdk)
    for name, form, sdk in (
        ("events with LF", lambda body: b"data: " + body + b"\n\n", "same"),
        ("events with CRLF", lambda body: b"data: " + body + b"\r\n\r\n", "same"),
        ("events with CR", lambda body: b"data: " + body + b"\r\r", "same"),
        ("events with a BOM", lambda body: BOM + b"data: " + body + b"\n\n", "error"),
        ("events without a blank", lambda body: b"data:" + body + b"\n\n", "same"),
        ("events with comments", lambda body: b": hi\n\n:\ndata: " + body + b"\n: ho\n\n", "same"),
        ("events with names", lambda body: b"event: ping\ndata: {}\n\nevent: message\ndata: " + body + b"\n\n", "same"),
        ("events with ids and retry", lambda body: b"id: 7\nretry: 10\nx: y\nz\ndata: " + body + b"\n\n", "same"),
        ("empty events", lambda body: b"data:\n\ndata\n\nid: 1\n\ndata: " + body + b"\n\n", "same"),
        ("an event of several lines", lambda body: b"data: " + body.replace(b",", b",\ndata: ") + b"\n\n", "same"),
        ("an array in an event", lambda body: b"data: [" + body + b"]\n\n", "error"),
        ("something behind the answer", lambda body: b"data: " + body + b"\n\ndata: what\n\ndata: {", "same"),
    )
] + [
    http("events, cut anywhere", lambda body: single_bytes(chunks(b"data: " + body + b"\n\n", 9, "text/event-stream"))),
    http(
        "an event that is not finished",
        lambda body: [head(EVENTS_TYPE) + b"data: " + body + b"\n", CLOSE],
        expected=Fault("it ended the stream without an answer"),
        decision="the standard discards it",
        sdk="error",
    ),
]

BROKEN = [
    http("less than its length", lambda body: [whole(body)[:-1], CLOSE], expected=Fault(""), sdk="error"),
    http("no HTTP", lambda _: [b"SSH-2.0-x\r\n\r\n", CLOSE], expected=Fault(""), sdk="error"),
    http("an interim response alone", lambda _: [head(status="100 Continue"), CLOSE], expected=Fault(""), sdk="error"),
    http("no answer at all", lambda _: [CLOSE], expected=Fault(""), sdk="error"),
]

LINES = [
    lines(f"noise: {name}", noise, PLAIN, sdk=sdk)
    for name, noise, sdk in (
        ("banner", "🚀 Server v1.0 started", "same"),
        ("JSON log", '{"level":30,"time":1700000000000,"msg":"request"}', "same"),
        ("JSON log with an id", '{"id":<id>,"msg":"log with an id"}', "same"),
        ("JSON log with a method", '{"method":"GET","url":"/x"}', "same"),
        ("scalars", '"text"\n12\nnull\ntrue\n[]\n[1,2]\n{}', "same"),
        ("latin-1", b"caf\xe9 ouvert", "error"),
        ("UTF-16", "Starting\r\n".encode("utf-16"), "error"),
        ("NUL", b"\0\0\0", "same"),
        ("blank lines", "\n\r\n  \n", "same"),
        ("a cut message", '{"jsonrpc":"2.0","method":"notifications/mess', "same"),
        ("100,000 brackets", "[" * 100_000, "same"),
    )
] + [
    lines("line with CRLF", PLAIN + "\r"),
    lines("line with blanks", "  \t" + PLAIN + "  "),
    lines("spinner before the message", "\rworking |\rworking -\r" + PLAIN, sdk="waits"),
    lines("a terminal's title before the message", "\x1b]0;server\x07" + PLAIN, sdk="waits"),
    lines("escape codes before the message", "\x1b[2K\x1b[0m" + PLAIN, sdk="waits"),
]

CASES = [*IDS, *ERRORS, *VALUES, *BEFORE, *CODINGS, *FRAMING, *TYPES, *EVENTS, *BROKEN, *LINES]

OWN_IDS = ("0", "-1", "9007199254740993", '"0"', '""', '"a\\"b\\\\c\\u0041\\ud83e\\udd8a"', '"é 🦊"', f'"{"x" * 500}"')
"""Ids of clients' requests, and of servers': they go back byte for byte."""

NO_IDS = {
    **dict.fromkeys(("null", "true", "[1]", "{}", NINES, "NaN", "-Infinity"), "null"),
    **{number: number for number in ("7.0", "7e0", "1.5", "-0.5", "1e400")},
}
"""What clients write for an id and is none, and the id of the error: a number goes back."""


@dataclass(frozen=True)
class Request:
    """A row of the table of what clients write: an argument, and what reaches the server."""

    name: str
    sent: str | bytes
    arrives: str = ""
    """What arrives, if it is not what was sent."""
    is_refused: bool = False
    """Whether the request is an error, -32700."""
    decision: str = ""

    @property
    def written(self) -> bytes:
        """The bytes that the client writes."""
        return self.sent if isinstance(self.sent, bytes) else self.sent.encode()


NO_JSON = "no JSON; no server could read it"
REQUESTS = [
    Request("nulls", '{"a":null,"b":[null]}'),
    Request("key order", '{"z":1,"a":{"y":1,"b":2},"m":3}'),
    Request("duplicate keys", '{"a":1,"a":2}', decision="which one counts is for the server to say"),
    Request("blanks", '{ "a" : [ 1 , 2 ] }'),
    Request("escapes", '"\\u0041\\/\\n\\ud83e\\udd8a"'),
    Request("2^70", "1180591620717411303424"),
    Request("1.0", '{"n":1.0,"m":-0,"k":1E5}'),
    Request("1e400", "1e400"),
    Request("number of 5,000 digits", NINES),
    Request("float of 5,000 digits", f"0.{NINES}"),
    Request("half a surrogate pair", '"cut \\ud83d"', '"cut \\ufffd"', decision="no text has it in UTF-8"),
    Request("halves in the wrong order", '"\\udd8a\\ud83e"', '"\\ufffd\\ufffd"'),
    Request("no UTF-8", b'"caf\xe9"', '"caf\ufffd"', decision="JSON is UTF-8"),
    Request("NUL", '"a\\u0000b"'),
    Request("line separators", '"a\u2028b\u2029c\x85d"'),
    Request("nested 120 deep", f"{'[' * 120}{']' * 120}"),
    Request("a megabyte", f'"{"x" * 1_000_000}"'),
    Request("NaN", "NaN", is_refused=True, decision=NO_JSON),
    Request("Infinity", "[-Infinity]", is_refused=True, decision=NO_JSON),
    Request("control character in a text", '"a\tb"', is_refused=True, decision=NO_JSON),
    Request(
        "nested 100,000 deep",
        f"{'[' * 100_000}{']' * 100_000}",
        is_refused=True,
        decision="no server could read it",
    ),
]
"""What clients write in their arguments."""

ATTACKS, DOOR, SENT = (f"tests/e2e/test_{name}.py" for name in ("attacks", "unauthenticated_clients", "sent_again"))
LISTS, LIMITS = "tests/e2e/test_lists.py", "tests/e2e/test_time_limits.py"
READER = "plugins/transport-http/tests/http1/test_request_reader.py"
FOLDER, PIPES = "tests/e2e/test_working_directory.py", "tests/e2e/test_lifecycle.py"
ELSEWHERE: dict[str, tuple[tuple[str, str], ...]] = {
    "a third party's transport that yields the SDK's streams": (
        ("tests/e2e/test_wire_streams.py", "test_what_the_sdk_hears_arrives"),
    ),
    "servers that end, or answer with an error, when the first message is not `initialize`": (
        ("tests/e2e/test_first_message.py", "test_it_is_started_again_and_served"),
    ),
    "clients that give up `server/discover` and begin anew with `initialize` on the same pipe": (
        ("tests/e2e/test_era_fallback.py", "test_a_client_may_fall_back_to_the_handshake"),
    ),
    "odd cursors, pages that fail, lists that hang or at which the server ends, deep definitions": (
        (LISTS, "test_a_check_that_connects_counts_and_says_it"),
        (LISTS, "test_what_came_is_served"),
    ),
    "odd definitions": (
        ("tests/e2e/test_odd_definitions.py", "test_the_typescript_sdks_see_all_good_definitions_beside_all_oddities"),
        ("tests/e2e/test_odd_definitions.py", "test_python_clients_see_all_good_definitions_beside_all_oddities"),
        ("tests/e2e/test_odd_definitions.py", "test_what_is_left_out_is_named_and_everything_else_is_counted"),
    ),
    "processes that stay": (
        (PIPES, "test_a_client_that_closes_either_of_its_ends_ends_the_gateway_and_its_children"),
        (PIPES, "test_a_child_that_ignores_the_end_of_its_input_is_ended_all_the_same"),
        (PIPES, "test_what_a_child_has_started_ends_with_it_even_if_the_child_has_gone_by_itself"),
    ),
    "slow first starts": ((LIMITS, "test_a_start_is_one_attempt_that_everybody_can_watch"),),
    "long calls, with signs of life and without": (
        (LIMITS, "test_progress_and_log_messages_keep_a_call_alive"),
        (LIMITS, "test_a_start_list_or_call_that_takes_too_long_names_its_setting"),
    ),
    "sessions that a server has forgotten, however it says so": (
        (SENT, "test_404_of_a_session_is_a_new_session_and_the_call_once_more"),
        (SENT, "test_a_session_that_is_unknown_in_words_is_replaced_and_the_call_made_again_only_if_it_may_be"),
    ),
    "answers that never end, or unpack without end": (
        ("tests/e2e/test_hostile_servers.py", "test_an_attack_fails_alone_in_time_and_in_bounded_memory"),
    ),
    "a connection that carries the requests of several people": (
        (
            "tests/e2e/test_shared_connections.py",
            "test_behind_a_proxy_that_shares_connections_each_call_goes_out_with_its_own_credentials",
        ),
    ),
    "forwarded headers": (
        (ATTACKS, "test_no_header_of_a_proxy_admits_a_caller"),
        (ATTACKS, "test_a_forwarded_address_is_not_believed_whatever_the_environment_says"),
    ),
    "clients without a token that send headers, bodies or connections without end": (
        (DOOR, "test_headers_without_an_end_take_no_memory"),
        (DOOR, "test_bodies_without_the_token_take_no_memory"),
        (DOOR, "test_more_connections_than_files_may_be_open_shut_nobody_out"),
    ),
    "clients that offer HTTP/2 by an upgrade": (
        (DOOR, "test_curl_that_offers_http_2_is_answered"),
        (DOOR, "test_javas_client_that_offers_http_2_is_answered"),
        (READER, "test_the_wish_to_upgrade_is_ignored_and_the_body_read"),
    ),
    "requests that two readers understand differently": (
        (READER, "test_what_two_readers_could_understand_differently_is_refused"),
    ),
    "requests cut anywhere": ((READER, "test_wherever_the_bytes_are_cut_they_are_the_same_requests"),),
    "a cloned repository that configures the gateway": (
        (FOLDER, "test_a_file_of_servers_in_the_folder_starts_nothing_and_is_mentioned"),
        (FOLDER, "test_a_dot_env_is_not_read"),
    ),
    "names of the gateway's or of others, taken without a namespace": (
        ("tests/e2e/test_reserved_names.py", "test_a_server_takes_no_reserved_names_over_any_transport_or_era"),
    ),
    "definitions that hide what they say": (
        ("core/tests/pinning/test_scanner.py", "test_all_of_a_definition_is_read"),
    ),
    "terminal escapes": (
        ("tests/e2e/test_terminal.py", "test_nothing_that_others_say_reaches_the_terminal_as_a_command"),
    ),
}
"""Cases that are no single answer, by what happens, with the tests that hold them: a file and a name each."""
