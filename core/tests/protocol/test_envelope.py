"""Envelopes of messages: what is in them, whose id it is, and what errors say."""

from __future__ import annotations

import json

import pytest
from mcp.shared.exceptions import MCPError
from msgspec import UNSET

from mcp_gateway.protocol.envelope import (
    ServerError,
    encode_error,
    encode_notification,
    encode_request,
    encode_result,
    parse_message,
    parse_response,
    parse_result,
    parse_server_message,
    read_error,
    read_id,
)

ODD = b'{"a":1.0,"big":123456789012345678901234567890,"z":null,"a2":[ 1 ,2]}'
DIGITS = b"9" * 5000


def test_an_envelope_is_read_and_its_payload_is_not():
    message = parse_message(b'{"params":{"arguments":%b},"id": 7 ,"jsonrpc":"2.0","method":"x","more":1}' % ODD)
    assert (message.jsonrpc, message.method, bytes(message.id)) == ("2.0", "x", b"7")
    assert {name: bytes(raw) for name, raw in message.fields.items()} == {"arguments": ODD}
    assert (message.result, message.error) == (UNSET, UNSET)


@pytest.mark.parametrize("params", [b"", b',"params":[]', b',"params":null', b',"params":3', b',"params":"{}"'])
def test_params_that_are_no_object_have_no_members(params):
    assert parse_message(b'{"jsonrpc":"2.0","method":"x"%b}' % params).fields == {}


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"3",
        b"\xff",
        b'{"method":3}',
        b'{"jsonrpc":2.0}',
        b"[" * 100_000,
        b'{"params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"params":NaN}',
        b'{"params":Infinity}',
        b'{"params":{"a":"\xff"}}',
        b'{"\xff":1}',
        b'{"params":"\xed\xa0\x80"}',  # half a surrogate pair in what would be UTF-8
    ],
    ids=lambda wrong: str(wrong[:20]),
)
def test_what_is_no_message_is_a_value_error(wrong):
    with pytest.raises(ValueError, match=r".+"):
        parse_message(wrong)


@pytest.mark.parametrize("depth", range(100, 3000, 100))
def test_a_message_that_can_be_read_has_members_or_is_a_value_error(depth):
    message = b'{"method":"x","params":{"a":%b%b}}' % (b"[" * depth, b"]" * depth)
    try:
        assert parse_message(message).fields.keys() == {"a"}
    except ValueError as error:
        assert "nested too deeply" in str(error)  # noqa: PT017  # it depends on the depth of the stack


def test_what_is_no_utf8_in_a_message_of_a_server_is_replaced():
    message = parse_server_message(b'{"method":"x","params":{"a":"caf\xe9"}}')
    assert message.params is not UNSET
    assert bytes(message.params["a"]) == '"caf\ufffd"'.encode()
    response = b'{"id":1,"result":{"a":"\xff","b":"\\ud83d"}}'
    assert {name: bytes(raw).decode() for name, raw in parse_response(response).items()} == {
        "a": '"\ufffd"',
        "b": '"\\ufffd"',
    }


@pytest.mark.parametrize("params", [b"[1]", b"null", b'"x"', b"7"])
def test_params_of_a_server_that_are_no_object_count_as_absent(params: bytes):
    message = parse_server_message(b'{"jsonrpc":"2.0","id":1,"method":"x","params":%b}' % params)
    assert (message.method, bytes(message.id or b""), message.params) == ("x", b"1", {})


def test_halves_of_surrogate_pairs_are_replaced_and_whole_pairs_stay():
    message = parse_message(b'{"method":"\\ud800","params":{"a":"\\ud83d\\ude00\\ude00"}}')
    assert message.method == "\ufffd"
    assert bytes(message.fields["a"]) == b'"\\ud83d\\ude00\\ufffd"'


@pytest.mark.parametrize(
    "raw, found",
    [
        (b"7", 7),
        (b'"7"', "7"),
        (b"7.0", 7.0),
        (b"70e-1", 7.0),
        (b"-7", -7),
        (b"7.5", 7.5),
        (b"1e999", float("inf")),
        (b'"07"', "07"),
        (b'""', ""),
        (b'"a\\u00e9"', "aé"),
        (b'"\\ud800"', "\ufffd"),
        (b"null", None),
        (b"true", None),
        (b"[7]", None),
        (b'{"a":7}', None),
        (b"", None),
        (b"%d" % 2**70, 2**70),
        (b"9" * 1000, int("9" * 1000)),
        (DIGITS, None),
        (b'"%b"' % DIGITS, DIGITS.decode()),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_ids_are_texts_or_numbers(raw, found):
    assert read_id(raw) == found
    assert type(read_id(raw)) is type(found)


@pytest.mark.parametrize("request_id", [b"7", b'"7"', b"7.0", b'"\\u00e9\\/"', b"%d" % 2**200, DIGITS, b"null"])
def test_the_id_of_a_peer_goes_back_byte_for_byte(request_id):
    assert encode_result(request_id, {}) == b'{"jsonrpc":"2.0","id":%b,"result":{}}' % request_id
    error = encode_error(request_id, MCPError(-1, "no"))
    assert error == b'{"jsonrpc":"2.0","id":%b,"error":{"code":-1,"message":"no"}}' % request_id


def test_messages_are_written_as_the_specification_has_them():
    assert json.loads(encode_request(b"1", "tools/call", ODD)) == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": json.loads(ODD),
    }
    assert ODD in encode_request(b"1", "tools/call", ODD)
    assert encode_notification("a/b", None) == b'{"jsonrpc":"2.0","method":"a/b"}'
    assert json.loads(encode_notification("a/b", {"x": "\ud800"}))["params"] == {"x": "\ufffd"}
    error = MCPError(-5, "\ud800 no", {"why": [None, "é"]})
    assert json.loads(encode_error(b"1", error))["error"] == {
        "code": -5,
        "message": "\ufffd no",
        "data": {"why": [None, "é"]},
    }


def test_a_response_is_a_result_or_an_error():
    fields = parse_response(b'{"jsonrpc":"2.0","id":1,"result":%b}' % ODD)
    assert {name: bytes(raw) for name, raw in fields.items()}["big"] == b"123456789012345678901234567890"
    assert parse_result(b'{"id":1,"error":null,"result":%b}' % ODD) == json.loads(ODD)
    for wrong in (b'{"id":1}', b'{"id":1,"error":null}', b"[]", b'{"result":3}', b'{"result":null}', b"nonsense"):
        for parse in (parse_response, parse_result):
            with pytest.raises(ServerError, match="cannot be read"):
                parse(wrong)


@pytest.mark.parametrize("raw", [DIGITS, b"[" * 900 + b"]" * 900], ids=["number", "nesting"])
def test_a_result_that_only_passes_through_need_not_be_readable(raw):
    response = b'{"id":1,"result":{"a":%b}}' % raw
    assert bytes(parse_response(response)["a"]) == raw
    with pytest.raises(ServerError, match="cannot be read"):
        parse_result(response)


@pytest.mark.parametrize("raw", [DIGITS, b"[" * 900 + b"]" * 900, b'{"code":%b,"message":"x"}' % DIGITS, b"nonsense"])
def test_an_error_that_cannot_be_read_is_one_all_the_same(raw):
    error = read_error(raw)
    assert (error.code, error.error.message) == (-32603, "an error that cannot be read")
