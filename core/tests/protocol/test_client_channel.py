"""What clients can take and give: capabilities, and how severe messages are."""

from __future__ import annotations

import json

import pytest

from mcp_gateway.protocol.capabilities import (
    DeclaredCapabilities,
    capabilities_json,
    decode_capabilities,
    encode_capabilities,
    widens,
)
from mcp_gateway.protocol.client_channel import can_answer, is_severe
from mcp_gateway.protocol.raw_json import encode_raw

FORM = {"elicitation": {"form": {}}}
BOTH = {"elicitation": {"form": {}, "url": {}}}


@pytest.mark.parametrize(
    "capabilities, method, params, can",
    [
        ({}, "elicitation/create", {}, False),
        ({"elicitation": {}}, "elicitation/create", {"message": "?"}, True),
        ({"elicitation": {}}, "elicitation/create", {"mode": "url"}, False),
        (FORM, "elicitation/create", {"mode": "url"}, False),
        (BOTH, "elicitation/create", {"mode": "url"}, True),
        ({"sampling": {}}, "sampling/createMessage", {}, True),
        ({"sampling": {}}, "roots/list", {}, False),
        ({"roots": {"listChanged": True}}, "roots/list", {}, True),
        (BOTH, "something/else", {}, False),
    ],
)
def test_a_client_is_asked_what_it_declared_that_it_can_answer(capabilities, method, params, can):
    assert can_answer(capabilities, method, params) is can


def test_equal_capabilities_are_equal_texts_whatever_their_order():
    assert encode_capabilities({"a": {}, "b": {"c": 1}}) == encode_capabilities({"b": {"c": 1}, "a": {}})
    assert decode_capabilities(encode_capabilities(BOTH)) == BOTH
    assert (encode_capabilities({}), decode_capabilities("")) == ("", {})


def test_capabilities_that_were_encoded_once_are_what_they_were():
    declared = DeclaredCapabilities(BOTH)
    assert declared == BOTH
    assert encode_capabilities(declared) == encode_capabilities(BOTH)
    assert json.loads(capabilities_json(declared)) == json.loads(capabilities_json(BOTH)) == BOTH


@pytest.mark.parametrize(
    "first, second, wider",
    [
        (FORM, {}, True),
        ({}, {}, False),
        (FORM, FORM, False),
        (BOTH, FORM, True),
        (FORM, BOTH, False),
        ({"roots": {}}, FORM, False),
    ],
)
def test_capabilities_are_wider_if_they_have_all_that_the_others_have_and_more(first, second, wider):
    assert widens(first, second) is wider


@pytest.mark.parametrize(
    "level, least, severe",
    [("debug", "info", False), ("info", "info", True), ("emergency", "debug", True), ("loud", "error", True)],
)
def test_a_message_is_severe_enough_or_not_and_one_of_unknown_severity_always_is(level, least, severe):
    assert is_severe({"level": encode_raw(level)}, least) is severe


@pytest.mark.parametrize(
    "params", [{}, {"level": b"null"}, {"level": b"3"}, {"level": b'"\xff"'}, {"level": b'"\\ud800"'}]
)
def test_so_is_one_whose_severity_cannot_be_read(params):
    assert is_severe(params, "emergency") is True
