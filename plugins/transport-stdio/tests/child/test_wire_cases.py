"""What a server may write to its standard output, and what is heard of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from mcp_gateway_transport_stdio.child.envelope import Message, match_response, parse_message

from mcp_gateway.plugin import ConnectionDropped

from .support import NOTIFICATION, open_listener

RESPONSE = b'{"jsonrpc":"2.0","id":1,"result":{}}'
REQUEST = b'{"jsonrpc":"2.0","id":"s-1","method":"ping"}'


@dataclass(frozen=True)
class Case:
    """Lines that are written, and what becomes of them."""

    name: str
    written: bytes
    response: bytes | None = None
    messages: tuple[bytes, ...] = ()
    stray: int = 0


def answer(name, line, response=None):
    """Return the case of a line that answers the request."""
    return Case(name, line, line if response is None else response)


def message(name, line, heard=None):
    """Return the case of a line that is heard beside the response."""
    return Case(name, line + b"\n" + RESPONSE, RESPONSE, (line if heard is None else heard,))


def stray(name, line):
    """Return the case of a line that is no message."""
    return Case(name, line + b"\n" + RESPONSE, RESPONSE, stray=1)


NUMBER = b"9" * 5000

CASES = [
    answer("plain", RESPONSE),
    answer(
        "with spaces",
        b' { "jsonrpc" : "2.0" , "id" : 1 , "result" : {} } ',
        b'{ "jsonrpc" : "2.0" , "id" : 1 , "result" : {} }',
    ),
    answer("CR LF", RESPONSE + b"\r", RESPONSE),
    answer("result first", b'{"result":{"id":2},"jsonrpc":"2.0","id":1}'),
    answer("id in the middle", b'{"jsonrpc":"2.0","result":{"id":2},"id":1,"x":0}'),
    answer("id as text", b'{"jsonrpc":"2.0","id":"1","result":{}}'),
    answer("id as a float", b'{"jsonrpc":"2.0","id":1.0,"result":{}}'),
    answer("id as a float, at the end", b'{"result":{},"jsonrpc":"2.0","id":1.0}'),
    answer("method that is null", b'{"jsonrpc":"2.0","id":1,"method":null,"params":null,"result":{}}'),
    answer("behind what was written over", b"\rworking |\rworking -\r" + RESPONSE, RESPONSE),
    answer("behind escape codes", b"\x1b[2K\x1b[0;1m" + RESPONSE, RESPONSE),
    answer("without jsonrpc", b'{"id":1,"result":{}}'),
    answer("result and error", b'{"jsonrpc":"2.0","id":1,"result":{},"error":null}'),
    answer("error and no result", b'{"jsonrpc":"2.0","id":1,"error":{"code":"E1","message":5},"result":null}'),
    answer("error as text", b'{"jsonrpc":"2.0","id":1,"error":"it is broken"}'),
    answer("error without code", b'{"jsonrpc":"2.0","id":1,"error":{"message":"it is broken"}}'),
    answer("result that is no object", b'{"jsonrpc":"2.0","id":1,"result":[1,2]}'),
    answer("neither result nor error", b'{"jsonrpc":"2.0","id":1}'),
    answer("BOM", b"\xef\xbb\xbf" + RESPONSE, RESPONSE),
    answer("array of one", b"[ " + RESPONSE + b" ]", RESPONSE),
    answer("half a surrogate pair", b'{"jsonrpc":"2.0","id":1,"result":"\\ud83d"}'),
    answer("half of one, id as text", b'{"id":"1","result":"\\uDe00 \\ud83d\\ude00"}'),
    answer("no UTF-8", b'{"jsonrpc":"2.0","id":1,"result":"caf\xe9"}'),
    answer("no UTF-8, id at the end", b'{"result":"caf\xe9","id":1}'),
    answer("no UTF-8, and NaN", b'{"result":["caf\xe9",NaN],"id":1}'),
    answer("UTF-8", '{"jsonrpc":"2.0","id":1,"result":"🦊\u2028\x85"}'.encode()),
    answer("number of 5,000 digits", b'{"jsonrpc":"2.0","id":1,"result":%b}' % NUMBER),
    answer("number of 5,000 digits, id at the end", b'{"result":-%b.5e-%b,"id":1}' % (NUMBER, NUMBER)),
    answer("NaN", b'{"jsonrpc":"2.0","id":1,"result":{"x":NaN}}'),
    answer("Infinity, id as text", b'{"jsonrpc":"2.0","id":"1","result":[-Infinity,%b]}' % NUMBER),
    answer("NaN, id as a float", b'{"result":[NaN],"id":1.0}'),
    answer("NaN in an array of one", b'[{"id":1,"result":NaN}]', b'{"id":1,"result":NaN}'),
    answer("control character in a text", b'{"id":1,"result":"a\tb"}'),
    answer("nested too deeply", b'{"id":1,"jsonrpc":"2.0","result":%b}' % (b"[" * 9000 + b"]" * 9000)),
    answer("last of two members of a name", b'{"jsonrpc":"2.0","id":9,"result":{},"x":0,"id":1}'),
    Case(
        "not finished at the end of the line",
        b'{"jsonrpc":"2.0","id":1,"result":{"x',
        b'{"jsonrpc":"2.0","id":1,"result":{"x',
    ),
    message("notification", NOTIFICATION),
    message("notification with BOM", b"\xef\xbb\xbf" + NOTIFICATION, NOTIFICATION),
    message("notification with NaN", b'{"jsonrpc":"2.0","method":"m","params":{"progress":NaN}}'),
    message("notification of no UTF-8", b'{"jsonrpc":"2.0","method":"caf\xe9"}'),
    message("request", REQUEST),
    message("request with the id of ours", b'{"jsonrpc":"2.0","id":1,"method":"ping"}'),
    message("request that was written backwards", b'{"params":{},"method":"ping","id":1,"jsonrpc":"2.0"}'),
    message("response to nobody", b'{"jsonrpc":"2.0","id":77,"result":{}}'),
    message("response to another kind of id", b'{"jsonrpc":"2.0","id":"1a","result":{}}'),
    message("response with a negative id", b'{"jsonrpc":"2.0","id":-1,"result":{}}'),
    message("response with a fraction", b'{"jsonrpc":"2.0","id":1.5,"result":{}}'),
    message("response with true", b'{"jsonrpc":"2.0","id":true,"result":{}}'),
    message("response with a huge id", b'{"jsonrpc":"2.0","id":%b,"result":{}}' % NUMBER),
    message("error with id null", b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}'),
    message("error without id", b'{"jsonrpc":"2.0","error":{"code":-32700,"message":"?"}}'),
    stray("banner", "🚀 Server v1.0".encode()),
    stray("latin-1", b"caf\xe9 ouvert"),
    stray("UTF-16", "Starting".encode("utf-16")),
    stray("NUL", b"\0\0\0"),
    stray("number", b"12"),
    stray("text", b'"text"'),
    stray("null", b"null"),
    stray("empty object", b"{}"),
    stray("empty array", b"[]"),
    Case(
        "batch",
        b"[" + NOTIFICATION + b"," + REQUEST + b",7," + RESPONSE + b"]",
        RESPONSE,
        (NOTIFICATION, REQUEST),
    ),
    stray("array of numbers", b"[1,2]"),
    stray("batch that is cut", b"[" + NOTIFICATION + b"," + RESPONSE[:-1] + b"]"),
    answer("id as the text of a float", b'{"jsonrpc":"2.0","id":"1.0","result":{}}'),
    answer("id with an exponent", b'{"jsonrpc":"2.0","id":10e-1,"result":{}}'),
    answer("behind a title", b"\x1b]0;t\x07" + RESPONSE, RESPONSE),
    stray("array of arrays", b"[[" + NOTIFICATION + b"]]"),
    stray("log with an id", b'{"id":1,"msg":"log with an id"}'),
    stray("log with a method", b'{"method":"GET","url":"/x","id":1}'),
    stray("log with an error", b'{"error":"it is broken"}'),
    stray("method that is no text", b'{"jsonrpc":"2.0","method":5}'),
    stray("escape codes", b"\x1b[0m" * 20_000),
    stray("text before a message", b"Loading... done " + NOTIFICATION),
    stray("cut", b'{"jsonrpc":"2.0","method":"notifications/mess'),
    stray("two in one line", NOTIFICATION + NOTIFICATION),
    stray("deep nonsense", b"[" * 100_000),
    Case("empty lines", b"\n\r\n  \n" + RESPONSE, RESPONSE),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.parametrize("count", [1, 9], ids=["at once", "in pieces"])
async def test_each_line_is_what_it_is(case, count):
    written = case.written + b"\n"
    size = len(written) // count + 1
    async with open_listener() as listener:
        handler = listener.begin_write(*(written[at : at + size] for at in range(0, len(written), size)))
        await listener.ask(request_id=2)
        assert handler.responses == [case.response]
        assert listener.messages == list(case.messages)
        assert listener.stray_output.lines == case.stray
        assert listener.heard[-2:] == [1, 2]


@pytest.mark.parametrize("line", [RESPONSE, b'{"result":{},"id":1}', b"[" + RESPONSE + b"]"])
async def test_a_last_line_without_its_end_counts(line):
    async with open_listener() as listener:
        assert await listener.begin_write(NOTIFICATION + b"\n", line, exits=True).outcome() == line.strip(b"[]")
        assert listener.heard == [NOTIFICATION, 1]


@pytest.mark.parametrize("line", [RESPONSE[:-1], b'{"jsonrpc":"2.0","id":1,"result":{"a":"b', b'{"id":1,"result":[{}'])
async def test_a_last_line_that_is_cut_is_no_response(line):
    async with open_listener() as listener:
        with pytest.raises(ConnectionDropped):
            await listener.begin_write(line, exits=True).outcome()
        assert listener.stray_output.lines == 1


@pytest.mark.parametrize(
    "line, request_id",
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{}}', 7),
        (b'{ "jsonrpc" : "2.0" , "id" : 7 , "error" : {} }', 7),
        (b'{"result":{"id":8},"jsonrpc":"2.0","id":7}', 7),
        (b'{"result":{"text":",\\"jsonrpc\\":\\"2.0\\",\\"id\\":8}"},"id":7}', None),
        (b'{"id":7,"result":{}}', None),
        (b'{"jsonrpc":"2.0","id":7,"method":"ping"}', None),
        (b'{"method":"ping","jsonrpc":"2.0","id":7}', None),
        (b'{"jsonrpc":"2.0","id":"7","result":{}}', None),
        (b"no message", None),
    ],
)
def test_the_usual_responses_are_known_without_parsing(line, request_id):
    assert match_response(line) == request_id
    assert request_id is None or parse_message(line) == Message(line, request_id)
