"""Definitions that were changed at random: what clients see of them is valid in both eras."""

from __future__ import annotations

import copy
import json
import random

import pytest
from jsonschema import Draft202012Validator
from mcp_types.methods import parse_server_result

from mcp_gateway.catalog.repair.definitions import LeftOut, repair_definition
from mcp_gateway.protocol.eras import adapt_definition
from mcp_gateway.protocol.primitives import PROMPTS, RESOURCES, TEMPLATES, TOOLS

from .test_definitions import ERAS, HERE, RESULTS

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {"type": "string", "pattern": "^a+$", "minLength": 1, "enum": ["a"], "format": "date", "default": "a"},
        "b": {"type": ["array", "null"], "items": {"type": "integer", "exclusiveMaximum": 9}, "contains": {"const": 2}},
        "c": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}], "nullable": True},
        "d": {"type": "object", "additionalProperties": {"type": "string"}, "patternProperties": {"^x": {}}},
    },
    "$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}, "$anchor": "q"}},
    "allOf": [{"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {}}],
    "dependentSchemas": {"a": {"not": {"required": ["b"]}}},
}
SHOWN = {
    "title": "t",
    "description": "d",
    "icons": [{"src": "data:,", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}],
    "_meta": {"a": 1},
}
HINTS = {"title": "t", "readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": True}
NOTES = {"audience": ["user"], "priority": 0.5, "lastModified": "2025-01-12T15:00:58Z"}
FILE = {"name": "x", "mimeType": "text/plain", "annotations": NOTES, **SHOWN}
TASKS = {"taskSupport": "optional"}
DEFINITIONS = [
    (TOOLS, {"name": "x", "inputSchema": SCHEMA, "outputSchema": SCHEMA, "annotations": HINTS, "execution": TASKS}),
    (PROMPTS, {"name": "x", "arguments": [{"name": "a", "description": "d", "required": True, "title": "t"}], **SHOWN}),
    (RESOURCES, {"uri": "file:///a", "size": 5, **FILE}),
    (TEMPLATES, {"uriTemplate": "file:///{a}", **FILE}),
]
VALUES = [None, True, False, 0, 1.5, -1, "", "x", "(", "#/x", "http://[", [], [None], ["x"], [1], [{}], {}]
VALUES += [{"a": None}, {"a": True}, {"type": None}, {"$ref": "#/nope"}, {"a": {"b": [None]}}, ["string", None]]
KEYWORDS = [
    "type",
    "items",
    "required",
    "enum",
    "anyOf",
    "not",
    "$ref",
    "$id",
    "$anchor",
    "pattern",
    "nullable",
    "name",
]


def paths(value):
    """Iterate over the places in a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    for key, child in children:
        yield value, key
        yield from paths(child)


def change(definition, chance):
    """Change a definition at one place."""
    owner, key = chance.choice(list(paths(definition)))
    value = copy.deepcopy(chance.choice(VALUES))
    if isinstance(owner[key], dict) and chance.random() < 0.4:
        owner[key][chance.choice(KEYWORDS)] = value
    elif isinstance(owner, dict) and chance.random() < 0.1:
        del owner[key]
    else:
        owner[key] = value


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("primitive, definition", DEFINITIONS, ids=["tool", "prompt", "resource", "template"])
def test_what_clients_see_of_a_random_definition_is_valid(primitive, definition, seed):
    chance = random.Random(seed)
    shown = []
    for _ in range(60):
        odd = copy.deepcopy(definition)
        for _ in range(chance.choice([1, 1, 2, 4])):
            change(odd, chance)
        if primitive.admits(odd):
            repaired = repair_definition(primitive, odd)
            if not isinstance(repaired, LeftOut):
                assert repair_definition(primitive, repaired) is repaired
                shown.append(repaired)
    assert len(shown) > 10
    for modern, version in ERAS.items():
        items = [adapt_definition(each, modern=modern) if primitive is TOOLS else each for each in shown]
        envelope = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if modern else {}
        schema = json.loads((HERE / f"schema-{version}.json").read_text(encoding="utf-8"))
        validator = Draft202012Validator({**schema, "$ref": f"#/$defs/{RESULTS[primitive]}"})
        for item in items:  # one by one, to see which is not
            validator.validate({primitive.field: [item], **envelope})
        parse_server_result(primitive.method, version, {primitive.field: items, **envelope})
