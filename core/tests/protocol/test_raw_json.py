"""JSON that is cut apart and put together without being read."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from mcp_gateway.protocol.raw_json import (
    decode,
    decode_member,
    decode_members,
    encode,
    encode_members,
    encode_object,
    encode_string,
    is_object,
    members,
    replace_constants,
)

ODD = b'{"a":1.0,"big":123456789012345678901234567890,"z":null,"\\u00e9":"\\u2028","a2":[ 1 ,2]}'


@pytest.mark.parametrize(
    "value",
    [
        b"1.0",
        b"-0",
        b"1E400",
        b"9" * 5000,
        b'"\\u00e9\\/"',
        b'{ "b" : 1 , "a" : [ ] }',
        b'{"a":1,"a":2}',
        b"[" * 500 + b"]" * 500,
        '"é\u2028😀"'.encode(),
    ],
    ids=lambda value: value[:12],
)
def test_what_passes_through_stays_byte_for_byte_the_same(value):
    fields = members(b'{"x":%b,"y":1}' % value)
    assert bytes(fields["x"]) == value
    assert encode_object(fields) == b'{"x":%b,"y":1}' % value


def test_objects_are_written_as_they_are_read():
    assert encode_object(members(Raw(ODD))) == ODD.replace(b"\\u00e9", "é".encode())
    assert encode_object({**members(ODD), "a": Raw(b"2")}).startswith(b'{"a":2,"big":')
    assert encode_object({}) == b"{}"
    assert json.loads(encode_string('é"\n')) == 'é"\n'


@pytest.mark.parametrize("wrong", [b"", b"[]", b"3", b"null", b'"x"', b"{", b'{"a":1}x', b'{"a":NaN}', b'{"a":1e}'])
def test_what_is_no_object_has_no_members(wrong):
    with pytest.raises(ValueError, match=r".+"):
        members(wrong)


@pytest.mark.parametrize("depth", range(100, 3000, 100))
def test_nesting_that_is_too_deep_is_never_more_than_a_value_error(depth):
    nested = b'{"a":%b%b}' % (b"[" * depth, b"]" * depth)
    try:
        assert bytes(members(nested)["a"]) == nested[5:-1]
    except ValueError as error:
        assert "nested too deeply" in str(error)  # noqa: PT017  # it depends on the depth of the stack


def test_halves_of_surrogate_pairs_become_replacement_characters_where_they_are_read():
    fields = members(b'{"\\ud800":1,"ok":"\\ud83d\\ude00","half":"\\udc00x"}')
    assert decode_members(fields) == {"\ufffd": 1, "ok": "😀", "half": "\ufffdx"}
    assert json.loads(encode("a\ud800bé")) == "a\ufffdbé"
    assert json.loads(encode({"\udc00": "😀"})) == {"\ufffd": "😀"}


@pytest.mark.parametrize(
    "wrong",
    [b"NaN", b"[-Infinity]", b"9" * 5000, b"[" * 900 + b"]" * 900, b'"\xff"', b"[1", b"'x'"],
    ids=lambda wrong: wrong[:5],
)
def test_what_cannot_be_read_is_a_value_error(wrong):
    with pytest.raises(ValueError, match=r".+"):
        decode(wrong)


@pytest.mark.parametrize("number", [float("nan"), float("-inf"), decode(b"1e999")])
@pytest.mark.parametrize("beside", ["", "\ud800"])
def test_a_number_that_json_has_no_form_for_is_not_written(number, beside):
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"a": [number], "b": beside})


def test_members_are_read_one_by_one():
    fields = encode_members({"a": {"b": [1.5, None]}, "big": 2**70})
    assert decode_member(fields, "a") == {"b": [1.5, None]}
    assert decode_member(fields, "big") == 2**70
    assert decode_member(fields, "other") is None


@pytest.mark.parametrize(
    "raw, found", [(None, False), (b"{}", True), (b"[]", False), (b"null", False), (b'"{"', False)]
)
def test_an_object_is_known_by_its_first_character(raw, found):
    assert is_object(None if raw is None else Raw(raw)) is found


@pytest.mark.parametrize(
    "message, replaced",
    [
        (b'{"id":NaN,"a":[-Infinity,Infinity]}', b'{"id":null,"a":[null,null]}'),
        (b'{"NaN":"\\"NaN","a":NaN,"b":"Infinity', b'{"NaN":"\\"NaN","a":null,"b":"Infinity'),
    ],
)
def test_constants_become_null_but_not_in_texts(message, replaced):
    assert replace_constants(message) == replaced


def test_a_message_without_constants_is_not_looked_through():
    message = b'"' * (4 << 20)
    assert replace_constants(message) is message
