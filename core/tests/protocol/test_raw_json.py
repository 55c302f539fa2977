"""JSON that is cut apart and put together without being read."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from mcp_gateway.protocol.raw_json import (
    encode_object,
    encode_string,
    members,
    parse_call,
    parse_list,
    parse_remote_call,
    parse_response,
)

ODD = b'{"a":1.0,"big":123456789012345678901234567890,"z":null,"\\u00e9":"\\u2028","a2":[ 1 ,2]}'


def call(**changes):
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}, **changes}
    return json.dumps({key: value for key, value in message.items() if value is not ...}).encode()


def test_what_passes_through_stays_byte_for_byte_the_same():
    read = parse_call(
        b'{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","arguments":' + ODD + b"}}"
    )
    assert bytes(read.params.arguments) == ODD
    fields, error = parse_response(b'{"jsonrpc":"2.0","id":1,"result":' + ODD + b"}")
    assert error is None
    assert b"".join(encode_object(fields)) == ODD.replace(b"\\u00e9", "é".encode())


@pytest.mark.parametrize("wrong", [b'{"\xff":1}', b'{"a":"\xff"}', b'"\xff"', b"\xff"])
def test_what_is_not_utf_8_does_not_pass_through(wrong):
    assert (
        parse_call(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":' + wrong + b"}}")
        is None
    )
    assert parse_list(b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"x":' + wrong + b"}}}") is None
    assert parse_remote_call(Raw(b'{"tool_name":"x","arguments":' + wrong + b"}x")) is None
    with pytest.raises(ValueError, match=r"utf-8|malformed"):
        parse_response(b'{"jsonrpc":"2.0","id":1,"result":{"a":' + wrong + b"}}")


@pytest.mark.parametrize("id_", [1, 0, -7, 2**70, "a", ""])
def test_an_id_is_a_whole_number_or_a_text(id_):
    assert json.loads(bytes(parse_call(call(id=id_)).id)) == id_


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": 1.5},
        {"id": True},
        {"id": [1]},
        {"id": ...},
        {"jsonrpc": "1.0"},
        {"jsonrpc": ...},
        {"method": "tools/list"},
        {"params": ...},
        {"params": []},
        {"params": {}},
        {"params": {"name": 3}},
        {"params": {"name": "x", "arguments": None}},
        {"params": {"name": "x", "arguments": []}},
        {"params": {"name": "x", "arguments": "{}"}},
        {"params": {"name": "x", "_meta": 3}},
        {"params": {"name": "x", "task": {"ttl": 1}}},
        {"params": {"name": "x", "inputResponses": {}}},
        {"extra": 1},
    ],
)
def test_what_is_not_a_plain_call_is_left_to_the_sdk_path(changes):
    assert parse_call(call(**changes)) is None


@pytest.mark.parametrize("message", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, call()[:-1]])
def test_what_is_no_message_at_all_is_left_to_the_sdk_path(message):
    assert parse_call(message) is None


@pytest.mark.parametrize(
    "arguments, plain",
    [
        ({"tool_name": "a__b"}, True),
        ({"tool_name": "a__b", "arguments": {"n": 1}}, True),
        ({"tool_name": "a__b", "arguments": "{}"}, False),
        ({"tool_name": "a__b", "auth_header": "x"}, False),
        ({"arguments": {}}, False),
    ],
)
def test_a_remote_call_is_plain_if_it_has_a_name_and_arguments_only(arguments, plain):
    assert (parse_remote_call(Raw(json.dumps(arguments).encode())) is not None) is plain


def test_an_answer_is_a_result_or_an_error():
    assert parse_response(b'{"jsonrpc":"2.0","id":1,"error":{"code":-1}}') == (None, b'{"code":-1}')
    for wrong in (b'{"id":1}', b"[]", b'{"result":3}', b"nonsense"):
        with pytest.raises(ValueError, match=r".+"):
            parse_response(wrong)


def test_objects_are_written_as_they_are_read():
    assert b"".join(encode_object(members(Raw(ODD)))) == b"".join(encode_object({**members(Raw(ODD))}))
    assert b"".join(encode_object({})) == b"{}"
    assert json.loads(encode_string('é"\n')) == 'é"\n'
