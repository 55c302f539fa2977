"""What a person writes behind the name of a tool."""

from __future__ import annotations

import pytest
from mcp_gateway_cli.calls.arguments import apply_schema, read_words
from mcp_gateway_cli.calls.schema_check import SchemaUnusable, find_argument_problems, find_unlisted
from mcp_gateway_cli.calls.schema_types import describe_type

from mcp_gateway.plugin import UsageError

SCHEMA = {
    "type": "object",
    "$defs": {"level": {"enum": ["low", "high"]}},
    "properties": {
        "text": {"type": "string", "description": "what to say"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "ratio": {"type": "number"},
        "loud": {"type": "boolean"},
        "labels": {"type": "array", "items": {"type": "string"}},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "filter": {"type": "object", "properties": {"owner": {"type": "string"}, "deep": {"type": "object"}}},
        "level": {"$ref": "#/$defs/level"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "any": {},
        "a.b": {"type": "string"},
    },
    "required": ["text"],
}


@pytest.mark.parametrize(
    "words, arguments",
    [
        ("text=5", {"text": "5"}),
        ("text=a=b", {"text": "a=b"}),
        ("text=", {"text": ""}),
        ("count=5", {"count": 5}),
        ("ratio=5", {"ratio": 5}),
        ("ratio=-0.5", {"ratio": -0.5}),
        ("loud=true", {"loud": True}),
        ("labels=bug", {"labels": ["bug"]}),
        ("labels=bug labels=5", {"labels": ["bug", "5"]}),
        ('labels=["a","b"]', {"labels": ["a", "b"]}),
        ("sizes=1 sizes=2", {"sizes": [1, 2]}),
        ("filter.owner=7", {"filter": {"owner": "7"}}),
        ("filter.owner=me filter.deep.x=1", {"filter": {"owner": "me", "deep": {"x": 1}}}),
        ('filter={"owner":"me"}', {"filter": {"owner": "me"}}),
        ("level=high", {"level": "high"}),
        ("either=3", {"either": 3}),
        ("either=null", {"either": None}),
        ("any=3", {"any": 3}),
        ("any=three", {"any": "three"}),
        ("any=NaN", {"any": "NaN"}),
        ("a.b=x", {"a.b": "x"}),
        ("new.key=1", {"new.key": 1}),
        ("text:=5", {"text": 5}),
        ('{"text":"x","count":1} count=2', {"text": "x", "count": 2}),
        ("", {}),
    ],
)
def test_a_value_is_read_by_the_type_that_the_schema_names(words, arguments):
    assert apply_schema(read_words(words.split()), SCHEMA) == arguments


@pytest.mark.parametrize(
    "words, said",
    [
        ("hello", "'hello' is neither KEY=VALUE"),
        ("text=x {}", "a JSON object comes first"),
        ("=x", "'=x' is neither KEY=VALUE"),
        ("count=many", "'count' must be integer from 1 to 9, not 'many'"),
        ("loud=maybe", "'loud' must be boolean"),
        ("sizes=1 sizes=x", "'sizes' must be integer, not 'x'"),
        ("text=a text=b", "'text' is given twice"),
        ("text:=a", "what follows := is not JSON: write text=TEXT"),
        ("[" * 100_000, "the arguments are nested too deeply"),
    ],
)
def test_a_word_that_does_not_fit_is_named(words, said):
    with pytest.raises(UsageError) as failure:
        apply_schema(read_words(words.split()), SCHEMA)
    assert said in str(failure.value)


def test_a_key_that_an_open_schema_lacks_is_found():
    given = {"txet": 1, "text": "1", "filter": {"ownr": "me", "deep": {"any": 1}}}
    assert find_unlisted(given, SCHEMA) == ["'txet'; did you mean 'text'?", "'filter.ownr'; did you mean 'owner'?"]
    rows = {"properties": {"rows": {"items": {"properties": {"cell": {}}}}}}
    assert find_unlisted({"rows": [{"cell": 1}, {"cel": 1}, {"cel": 2}]}, rows) == ["'rows.cel'; did you mean 'cell'?"]
    assert find_unlisted({"txet": 1}, {**SCHEMA, "additionalProperties": True}) == []
    assert find_unlisted({"txet": 1}, {**SCHEMA, "anyOf": [{"properties": {"txet": {}}}]}) == []
    assert find_unlisted({"txet": 1}, {"type": "object"}) == []


def test_a_name_that_is_nearly_right_is_said_beside_the_one_that_is_missing():
    missing, wrong = "'text' is missing (string: what to say)", "there is no argument 'txet'; did you mean 'text'?"
    for more in ({}, {"additionalProperties": True}, {"additionalProperties": False}):
        assert find_argument_problems({"txet": "x"}, {**SCHEMA, **more}) == [missing, wrong]
    inner = {"properties": {"filter": {**SCHEMA, "required": ["level"]}}}
    assert find_argument_problems({"filter": {"levle": "low"}}, inner)[1:] == [
        "there is no argument 'filter.levle'; did you mean 'level'?"
    ]


@pytest.mark.parametrize(
    "arguments, problems",
    [
        ({"text": "x"}, []),
        ({}, ["'text' is missing (string: what to say)"]),
        ({"text": 5}, ["'text' must be string, not integer"]),
        ({"text": "x", "level": "middle"}, ["'level' must be low | high, not string"]),
        ({"text": "x", "sizes": [1, "a"]}, ["'sizes.1' must be integer, not string"]),
        ({"text": "x", "filter": {"owner": 1}}, ["'filter.owner' must be string, not integer"]),
        ({"text": "x", "either": "a"}, ["'either' must be integer or null, not string"]),
        ({"text": "x", "txet": 1}, ["there is no argument 'txet'; did you mean 'text'?"]),
    ],
)
def test_what_does_not_fit_the_schema_is_said_in_words(arguments, problems):
    assert find_argument_problems(arguments, {**SCHEMA, "additionalProperties": False}) == problems


def test_what_the_server_must_judge_is_left_to_it():
    evil = {"type": "string", "pattern": "^(a+)+$", "format": "email"}
    nested = {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"y": evil}}
    schema = {"properties": {"x": evil, "pattern": {"type": "string"}, "inner": nested}}
    long = "a" * 40 + "!"
    assert find_argument_problems({"x": long, "inner": {"y": long}}, schema) == []
    assert find_argument_problems({"pattern": 1}, schema) == ["'pattern' must be string, not integer"]
    named = {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}
    assert find_argument_problems({long: 1}, named) == []


DOUBLING = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/x"}}},
        {"$ref": "#/$defs/d0", "$defs": {**DOUBLING, "d40": {"type": "object"}}},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"properties": {"x": {"minLength": "a"}}},
        {"type": "thing"},
    ],
    ids=["endless", "doubling", "elsewhere", "no number", "no type"],
)
def test_a_schema_that_cannot_be_used_is_said(schema):
    with pytest.raises(SchemaUnusable):
        find_argument_problems({"x": "y"}, schema)


@pytest.mark.parametrize(
    "schema, words",
    [
        ({"type": "array", "items": {"type": "string"}}, "array of string"),
        ({"type": ["string", "null"]}, "null or string"),
        ({"enum": ["a", 1, None]}, "a | 1 | null"),
        ({"type": "string", "format": "date"}, "string, date"),
        ({}, "anything"),
        (True, "anything"),
        ({"$ref": "#/nowhere"}, "anything"),
    ],
)
def test_a_type_is_described_in_a_few_words(schema, words):
    assert describe_type(schema, {}) == words
