import json

import pytest

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.protocol.encoded_json import EncodedObject, EncodedTool, as_bytes, may_contain, read

TOOL = {
    "zeta": 1.0,
    "name": "x",
    "big": 2**70,
    "small": 1e-9,
    "nothing": None,
    "deep": {"b": [1, True, {"é\u2028": "日本 \U0001f600"}], "a": {}},
    "half": "\ud800",
    "alpha": '\x00"\\',
}


def test_a_written_object_is_the_object_to_the_order_of_its_fields_and_the_form_of_its_numbers():
    assert json.dumps(EncodedTool(TOOL).read()) == json.dumps(TOOL)
    assert list(EncodedTool(TOOL)) == list(TOOL)
    assert {**EncodedTool(TOOL)} == TOOL


def test_it_can_be_looked_into_like_any_mapping():
    tool = EncodedTool(TOOL)
    assert (tool["name"], tool["big"], tool.get("deep"), tool.get("other", 3)) == ("x", 2**70, TOOL["deep"], 3)
    assert "zeta" in tool
    assert "other" not in tool
    assert len(tool) == len(TOOL)
    assert repr(tool) == repr(TOOL)
    with pytest.raises(KeyError):
        tool["other"]


def test_equal_objects_are_equal_however_they_are_kept():
    other = dict(reversed(TOOL.items()))
    assert EncodedTool(TOOL) == EncodedTool(TOOL) == TOOL == EncodedTool(other)
    assert EncodedTool(TOOL) != EncodedTool({**TOOL, "zeta": 2})
    assert EncodedTool(TOOL) != 3
    assert Listing("a", (EncodedTool(TOOL),)) == Listing("a", (TOOL,))
    assert Listing("a", (EncodedTool(TOOL),)).digest == Listing("a", (other,)).digest


def test_who_reads_it_may_change_what_was_read():
    tool = EncodedTool(TOOL)
    tool.read()["deep"]["b"].clear()
    assert tool == TOOL


def test_reading_what_is_not_written_gives_it_back():
    assert read(TOOL) is TOOL
    assert read(EncodedObject(TOOL)) == TOOL
    assert as_bytes(TOOL) == as_bytes(EncodedObject(TOOL))


def test_a_first_look_finds_every_field_that_is_there():
    assert may_contain(EncodedObject({"a": {"x-mcp-header": "N"}}), "x-mcp-header")
    assert not may_contain(EncodedObject({"a": {"x": "N"}}), "x-mcp-header")
    assert may_contain({}, "x-mcp-header"), "what is not written has to be looked at"
