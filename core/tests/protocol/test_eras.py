"""Results and params in the era of whoever reads them; everything else stays as it is."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from mcp_gateway.protocol import eras
from mcp_gateway.protocol.raw_json import decode_members, encode_members

SERVER = "io.modelcontextprotocol/serverInfo"

ODD = {
    "zeta": None,
    "content": [{"type": "hologram", "rays": [None, {"deep": 2**70}]}],
    "structuredContent": {"b": 1.5, "a": []},
    "isError": True,
    "alpha": {"x": None},
}


def adapt_result(result, *, modern):
    """Adapt a result as the pipeline does, with its members undecoded."""
    return decode_members(eras.adapt_result(encode_members(result), modern=modern))


@pytest.mark.parametrize("modern", [True, False])
def test_unknown_fields_nulls_big_numbers_and_the_order_of_keys_stay(modern):
    shaped = adapt_result(ODD, modern=modern)
    kept = {key: value for key, value in shaped.items() if key in ODD}
    assert json.dumps(kept) == json.dumps(ODD)


@pytest.mark.parametrize("modern", [True, False])
def test_what_is_not_of_an_era_stays_byte_for_byte_the_same(modern):
    came = {"content": b'[ {"n" : 1.0, "big":123456789012345678901234567890} ]', "odd": b'"\\ud800"', "n": b"9" * 5000}
    shaped = eras.adapt_result({name: Raw(value) for name, value in came.items()}, modern=modern)
    assert {name: bytes(shaped[name]) for name in came} == came


@pytest.mark.parametrize("modern", [True, False])
def test_the_result_that_came_is_not_changed(modern):
    came = encode_members({"content": [], "_meta": {SERVER: {}, "mine": 1}, "ttlMs": 3, "resultType": "complete"})
    before = dict(came)
    eras.adapt_result(came, modern=modern)
    assert decode_members(came) == decode_members(before)


def test_a_modern_client_is_told_that_the_result_is_complete_and_from_whom():
    shaped = adapt_result({"content": []}, modern=True)
    assert shaped["resultType"] == "complete"
    assert shaped["_meta"][SERVER]["name"] == "mcp-orchestration-gateway"


def test_a_modern_client_sees_the_kind_of_result_that_the_server_gave():
    assert adapt_result({"resultType": "input_required"}, modern=True)["resultType"] == "input_required"


def test_a_client_of_the_handshake_era_sees_no_envelope():
    modern = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "content": [], "_meta": {SERVER: {}}}
    assert adapt_result(modern, modern=False) == {"content": []}


@pytest.mark.parametrize("modern", [True, False])
def test_meta_that_concerns_the_servers_own_connection_is_taken_off_and_the_rest_stays(modern):
    came = {"_meta": {SERVER: {"name": "inner"}, "io.modelcontextprotocol/subscriptionId": 1, "vendor/x": None}}
    meta = adapt_result(came, modern=modern)["_meta"]
    assert meta.pop(SERVER, {}).get("name") == ("mcp-orchestration-gateway" if modern else None)
    assert meta == {"vendor/x": None}


def test_an_empty_meta_stays_an_empty_meta_in_the_handshake_era():
    assert adapt_result({"_meta": {}}, modern=False) == {"_meta": {}}


@pytest.mark.parametrize("odd", [None, 3, []])
def test_a_meta_that_is_no_object_breaks_nothing(odd):
    assert adapt_result({"content": [], "_meta": odd}, modern=False)["content"] == []
    assert adapt_result({"content": [], "_meta": odd}, modern=True)["_meta"].keys() == {SERVER}
