"""Repair of definitions: what is odd is mended or left out, what is valid stays as it is, and every list is valid."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from mcp_types import ListPromptsResult, ListResourcesResult, ListResourceTemplatesResult
from mcp_types.methods import parse_server_result

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.repair.definitions import LeftOut, repair_definition
from mcp_gateway.catalog.repair.repairs import Repairs, repair_lists
from mcp_gateway.pinning.pins import hash_of
from mcp_gateway.pinning.store import pin_name
from mcp_gateway.protocol.encoded_json import read
from mcp_gateway.protocol.primitives import PRIMITIVES, PROMPTS, RESOURCES, TEMPLATES, TOOLS

from ...support.fake_servers import Remote
from ...support.gateway import ask, client

HERE = Path(__file__).parent
KINDS = {primitive.name: primitive for primitive in PRIMITIVES}
ODDITIES = json.loads((HERE / "oddities.json").read_text(encoding="utf-8"))
"""What servers list, and what clients see of it: null if nothing. It is the same in both eras but for outputSchema."""

ERAS = {False: "2025-11-25", True: "2026-07-28"}
RESULTS = {
    TOOLS: "ListToolsResult",
    PROMPTS: "ListPromptsResult",
    RESOURCES: "ListResourcesResult",
    TEMPLATES: "ListResourceTemplatesResult",
}
SIMPLE = {"type": "object", "properties": {"a": {"type": "string"}}}
NODE = {"type": "object", "properties": {"child": {"$ref": "#/$defs/node"}, "text": {"type": ["string", "null"]}}}
DEEP = {"type": "string"}
for _ in range(40):
    DEEP = {"type": "object", "properties": {"in": DEEP}}
VALID_SCHEMAS = [
    SIMPLE,
    {**NODE, "$defs": {"node": NODE}},
    {**SIMPLE, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {**SIMPLE, "allOf": [{"if": {"properties": {"a": {"const": "x"}}}, "then": {"required": ["b"]}, "else": {}}]},
    {**SIMPLE, "additionalProperties": False, "unevaluatedProperties": False, "patternProperties": {"^x-": {}}},
    {**SIMPLE, "additionalProperties": True, "properties": {"a": {"type": "array", "unevaluatedItems": False}}},
    {**SIMPLE, "$schema": "http://json-schema.org/draft-04/schema#", "id": "http://x/y"},
    {"type": "object", "properties": {"n": {"type": "number", "minimum": 0, "exclusiveMinimum": True}}},
    {"type": "object", "properties": {"n": {"type": ["integer", "null"], "default": None, "enum": [None, 1, True]}}},
    {"type": "object", "properties": {"const": {"const": None}, "not": {"not": {}}, "items": {"items": {"x": None}}}},
    {"type": "object", "properties": {"type": {"type": "string"}, "required": {"type": "boolean"}}},
    {"type": "object", "properties": {"t": {"type": "array", "prefixItems": [{"type": "string"}, {}], "items": {}}}},
    {"type": "object", "properties": {"t": {"type": "array", "items": [{"type": "string"}], "additionalItems": False}}},
    {"type": "object", "properties": {}, "dependentSchemas": {"a": {"required": ["b"]}}, "dependencies": {"a": ["b"]}},
    {"type": "object", "properties": {"a": {"pattern": "(?P<a>", "format": "no such", "examples": [None, True]}}},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/absent"}, "b": {"$ref": "http://x/y.json"}}},
    {"type": "object", "properties": {"a": {"x-vendor": None, "nullable": True, "discriminator": {"p": None}}}},
    {"type": "object", "properties": {"e": {"type": "string", "enum": [f"e{number}" for number in range(5000)]}}},
    DEEP,
]
REFERRING = {"$anchor": "n", "properties": {"x": {"$ref": "#n"}}}
ITEM = {"$id": "http://x/item", "type": "string"}
DIALECT = "https://json-schema.org/draft/2020-12/schema"
VALID_OUTPUTS = [
    {"type": "object"},
    {"type": "object", "$defs": {"item": ITEM}, "properties": {"a": {"$ref": "http://x/item"}, "$ref": {"$ref": "#"}}},
    {**NODE, "$defs": {"node": NODE}},
    {
        "type": "object",
        "$ref": "#/$defs/a%20b",
        "$defs": {"a b": REFERRING},
    },
    {
        "type": "object",
        "$id": "http://x/y",
        "properties": {"a": {"$ref": "http://x/y#/properties/b"}, "b": {"$ref": "#"}},
    },
    {
        "type": "object",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"s": {"pattern": "^a$"}},
    },
    {"type": "object", "properties": {"a": {"type": "string", "nullable": True}, "b": {"exclusiveMinimum": 0.5}}},
]
VALID = [
    *((TOOLS, {"name": "x", "inputSchema": schema}) for schema in VALID_SCHEMAS),
    *((TOOLS, {"name": "x", "inputSchema": SIMPLE, "outputSchema": schema}) for schema in VALID_OUTPUTS),
    (
        TOOLS,
        {
            "vendorField": None,
            "name": "高德 x/y",
            "title": "",
            "description": "",
            "inputSchema": {"x": None, **SIMPLE, "big": 2**70},
            "annotations": {"title": "X", "readOnlyHint": True, "vendorHint": None},
            "execution": {"taskSupport": "optional", "x": None},
            "icons": [{"src": "a.png", "mimeType": "image/png", "sizes": ["any"], "theme": "dark", "x": None}],
            "_meta": {"vendor/x": None},
        },
    ),
    (PROMPTS, {"name": "p", "arguments": [{"name": "a", "required": False, "x": None}], "annotations": None}),
    (PROMPTS, {"name": "p", "arguments": [], "description": "", "icons": []}),
    (
        RESOURCES,
        {
            "uri": "file:///a b/ü",
            "name": "",
            "size": 2**60,
            "mimeType": "",
            "annotations": {"audience": [], "priority": 0, "lastModified": "2025-01-12T15:00:58.123+02:00", "x": None},
        },
    ),
    (RESOURCES, {"uri": "urn:x", "name": "x", "size": 1.0, "annotations": {"lastModified": "2024-02-29T23:59:59Z"}}),
    (TEMPLATES, {"uriTemplate": "file:///{a", "name": "x", "size": "x", "annotations": {"priority": 0.5}}),
]


class Lists(Remote):
    """A server that lists just what it is given, of every primitive."""

    def __init__(self, **lists):
        lists = {kind: lists.get(kind, []) for kind in KINDS}
        super().__init__(*lists["tools"], on_list_prompts=_prompts, on_list_resources=_resources)
        self.lists = {KINDS[kind].method: {KINDS[kind].field: items} for kind, items in lists.items()}
        self._server.add_request_handler("resources/templates/list", None, _templates)

    async def _raw(self, ctx, call_next):
        if ctx.method in self.lists and ctx.method != TOOLS.method:
            return self.lists[ctx.method]
        return await super()._raw(ctx, call_next)


async def _prompts(_, __):
    return ListPromptsResult(prompts=[])


async def _resources(_, __):
    return ListResourcesResult(resources=[])


async def _templates(_, __):
    return ListResourceTemplatesResult(resource_templates=[])


def everything_odd():
    """Return a server of all oddities, each list with a good definition at its end."""
    lists = {kind: [row["given"] for row in ODDITIES if row["primitive"] == kind] for kind in KINDS}
    lists["tools"].append({"name": "good", "inputSchema": SIMPLE})
    lists["prompts"].append({"name": "good"})
    lists["resources"].append({"uri": "odd:///good", "name": "good"})
    lists["templates"].append({"uriTemplate": "odd:///good/{a}", "name": "good"})
    return Lists(**lists)


def validator(modern, primitive):
    """Return what checks a whole list by the specification of an era."""
    schema = json.loads((HERE / f"schema-{ERAS[modern]}.json").read_text(encoding="utf-8"))
    return Draft202012Validator({**schema, "$ref": f"#/$defs/{RESULTS[primitive]}"})


def name_of(row):
    return f"{row['primitive']}: {row['what']}"


@pytest.mark.parametrize("row", ODDITIES, ids=name_of)
def test_an_odd_definition_is_mended_or_left_out(row):
    given = copy.deepcopy(row["given"])
    shown = repair_definition(KINDS[row["primitive"]], row["given"])
    assert (None if isinstance(shown, LeftOut) else json.dumps(shown)) == (row["shown"] and json.dumps(row["shown"]))
    assert row["given"] == given


@pytest.mark.parametrize("primitive, definition", VALID, ids=str)
def test_a_valid_definition_stays_as_it_is(primitive, definition):
    assert repair_definition(primitive, definition) is definition
    assert repair_lists({**dict.fromkeys(KINDS, ()), primitive.name: [definition]}) == Repairs()


@pytest.mark.parametrize("modern", ERAS, ids=ERAS.get)
async def test_every_list_with_all_oddities_is_valid_and_has_the_good_ones(gateway, modern):
    alpha = {"expose_tools": True, "namespace": "s"}
    async with gateway({"alpha": everything_odd()}, alpha=alpha) as opened, client(opened, modern=modern) as connection:
        for primitive in PRIMITIVES:
            answer = await connection.request(primitive.method, {})
            result = answer if modern else {key: answer[key] for key in answer if key != "resultType"}
            validator(modern, primitive).validate(result)
            parse_server_result(primitive.method, ERAS[modern], result)
            rows = [row["shown"] for row in ODDITIES if row["primitive"] == primitive.name and row["shown"]]
            prefix = "s__" if primitive in (TOOLS, PROMPTS) else ""
            wanted = [f"{prefix}{shown[primitive.key]}" for shown in rows]
            listed = {item[primitive.key]: item for item in answer[primitive.field]}
            assert [name for name in listed if "odd" in name and "good" not in name] == wanted
            assert any("good" in name for name in listed)
            for shown, name in zip(rows, wanted, strict=True):
                again = {**shown, primitive.key: name}
                if not modern and again.get("outputSchema", SIMPLE).get("type") != "object":
                    del again["outputSchema"]
                assert json.dumps(listed[name]) == json.dumps(again)


@pytest.mark.parametrize("modern", ERAS, ids=ERAS.get)
@pytest.mark.parametrize("namespace", [None, "s"])
async def test_valid_definitions_are_listed_character_for_character(gateway, modern, namespace):
    lists = {kind: [] for kind in KINDS}
    for number, (primitive, definition) in enumerate(VALID):
        name = f"x:{number}" if primitive in (RESOURCES, TEMPLATES) else f"x{number}"
        lists[primitive.name].append({**definition, primitive.key: name})
    alpha = {"expose_tools": True, "namespace": namespace}
    async with gateway({"alpha": Lists(**lists)}, alpha=alpha) as opened, client(opened, modern=modern) as connection:
        for primitive in PRIMITIVES:
            listed = (await connection.request(primitive.method, {}))[primitive.field]
            found = [item for item in listed if item[primitive.key].removeprefix("s__").startswith("x")]
            prefix = "s__" if namespace and primitive in (TOOLS, PROMPTS) else ""
            wanted = [{**item, primitive.key: f"{prefix}{item[primitive.key]}"} for item in lists[primitive.name]]
            assert list(map(json.dumps, found)) == list(map(json.dumps, wanted))


async def test_searches_and_discoveries_show_what_the_list_shows(gateway):
    bad = {"name": "bad", "description": "zebra", "inputSchema": "object"}
    odd = {"name": "odd", "description": "zebra", "inputSchema": {"properties": {"a": True}}}
    mute = {"name": "mute", "description": None, "inputSchema": None}
    async with gateway({"alpha": Remote(bad, odd, mute)}) as opened, client(opened) as connection:
        found = (await ask(connection, "tool_search", {"query": "zebra"}))["structuredContent"]
        shown = (await ask(connection, "discover_tools", {"server_name": "alpha"}))["structuredContent"]
        called = await ask(connection, "call_remote_tool", {"tool_name": "alpha__bad"})
        native = await ask(connection, "alpha__bad")
    assert [tool["input_schema"] for tool in found["tools"]] == [{"properties": {"a": {}}, "type": "object"}]
    assert found["servers"] == ["alpha: its tool 'bad' is left out: its inputSchema is no object"]
    assert shown["tool_count"] == 2
    assert [(tool["tool_name"], tool["description"], tool["input_schema"]) for tool in shown["tools"]] == [
        ("alpha__odd", "zebra", {"properties": {"a": {}}, "type": "object"}),
        ("alpha__mute", "", {"type": "object", "properties": {}}),
    ]
    assert called["content"] == native["content"] == [{"type": "text", "text": "done"}]


async def test_pins_and_hashes_are_of_what_the_server_sent(gateway):
    odd = {"name": "odd", "title": None, "inputSchema": {"properties": {"a": True}}}
    async with gateway({"alpha": Remote(odd)}) as opened, client(opened) as connection:
        await ask(connection, "discover_tools", {"server_name": "alpha"})
        listing = opened.gateway.registry.catalog.servers["alpha"]
        pins = await opened.gateway.discovery.shared.pinning.shelf.load(
            pin_name(opened.gateway.registry.specs["alpha"], personal=False)
        )
    assert json.dumps(read(listing.by_name["odd"])) == json.dumps(odd)
    assert pins["odd"].known == (hash_of(odd),)
    assert listing.digest == Listing("alpha", (odd,), namespace="alpha").digest


@pytest.mark.parametrize("modern", ERAS, ids=ERAS.get)
async def test_one_identifier_stands_for_one_output_schema_in_all_of_a_list(gateway, modern):
    item = {"$id": "http://x/item", "type": "object", "properties": {"a": {"type": "string"}}}
    others = {"type": "object", "properties": {"item": {**item, "title": "other"}}}
    same = {"type": "object", "properties": {"item": item}}
    first = {"name": "first", "inputSchema": SIMPLE, "outputSchema": item}
    remotes = {
        "alpha": Remote(first, {**first, "name": "same", "outputSchema": same}),
        "beta": Remote({**first, "name": "other", "outputSchema": others}, {**first, "name": "again"}),
    }
    exposed = {"expose_tools": True}
    async with gateway(remotes, alpha=exposed, beta=exposed) as opened, client(opened, modern=modern) as connection:
        listed = (await connection.request("tools/list", {}))["tools"]
    found = {tool["name"]: tool.get("outputSchema") for tool in listed[3:]}
    assert found == {"alpha__first": item, "alpha__same": same, "beta__other": None, "beta__again": item}


def test_a_schema_that_is_nested_without_end_is_left_out():
    schema = {"type": "object"}
    for _ in range(20_000):
        schema = {"not": schema}
    left_out = repair_definition(TOOLS, {"name": "deep", "inputSchema": {"type": "object", **schema}})
    assert isinstance(left_out, LeftOut)
    assert left_out.what == "tool 'deep' is left out: it is nested too deeply"
    while schema:  # its end must not be as deep
        schema = schema.pop("not", None)
