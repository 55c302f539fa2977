"""TOML and YAML: mistakes have their place, and nothing in a file does more than hold data."""

from __future__ import annotations

import builtins

import pytest

from mcp_gateway.config.syntax.markup import (
    describe_strange_text,
    looks_like_toml,
    looks_like_yaml,
    parse_toml,
    parse_yaml,
)
from mcp_gateway.plugin import ConfigError

yaml = pytest.importorskip("yaml")


def test_yaml_is_data_only():
    value, warnings = parse_yaml("a: {b: 1, c: on}\nd: 2024-01-01\n")
    assert (value, warnings) == ({"a": {"b": 1, "c": True}, "d": "2024-01-01"}, [])
    with pytest.raises(ConfigError, match="the file is not YAML"):
        parse_yaml("a: !!python/object/apply:os.system ['true']")


def test_a_key_that_stands_twice_in_yaml_is_a_warning():
    value, warnings = parse_yaml("a:\n  b: 1\n  b: 2\n")
    assert value == {"a": {"b": 2}}
    assert warnings == [
        "line 3: the key 'b' stands twice in one object, first in line 2, and this one is used; remove one of the two"
    ]


@pytest.mark.parametrize(
    "text, place, words",
    [
        ("a:\n\tb: 1", "line 2, column 1", "YAML has no tabs; indent with spaces"),
        ("a: b: c", "line 1, column 5", "mapping values are not allowed here"),
        ("a: [1, 2\nb: 3", "line 2, column 2", "expected ',' or ']'"),
    ],
)
def test_a_mistake_in_yaml_has_its_place(text, place, words):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text)
    assert str(caught.value).startswith(f"{place}: {words}")


@pytest.mark.parametrize("text", ["a: *s3cr3t", "a: !s3cr3t x", "a: &s3cr3t [", "s3cr3t: a: b"])
def test_a_mistake_in_yaml_quotes_nothing_of_the_file(text):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text)
    assert "s3cr3t" not in str(caught.value)


def test_aliases_that_grow_without_end_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 9)]
    with pytest.raises(ConfigError, match="it has more than 100000 values"):
        parse_yaml("\n".join(lines))
    with pytest.raises(ConfigError, match="it has more than 100000 values"):
        parse_yaml("a: &a [*a]")


def test_without_the_library_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name == "yaml":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"pip install pyyaml"):
        parse_yaml("a: 1")


def test_a_mistake_in_toml_has_its_place():
    with pytest.raises(ConfigError, match=r"line 2, column 9: .*the file is not TOML"):
        parse_toml('[mcp_servers.a]\ncommand npx"\n')


@pytest.mark.parametrize(
    "text, value, key, lines",
    [
        ('[a.b]\nx = "1"\n\n[a.c]\n[a.b]\nx = "2"\n', {"a": {"b": {"x": "2"}, "c": {}}}, "a.b", (1, 5)),
        ('[a]\nx = "1"\ny = 0\nx = "2"\n', {"a": {"y": 0, "x": "2"}}, "x", (2, 4)),
    ],
)
def test_of_what_stands_twice_in_toml_the_last_counts(text, value, key, lines):
    found, warnings = parse_toml(text)
    assert found == value
    words = f"the key {key!r} stands twice in one object, first in line {lines[0]}, and this one is used"
    said = f"line {lines[1]}: {words}; remove one of the two"
    assert warnings == [said]


@pytest.mark.parametrize(
    "text, what",
    [
        ("<?xml version='1.0'?>", "XML or HTML"),
        ("# mine\nexport API_KEY=x", "a file of variables"),
        ("claude mcp add x -- npx y", "a command for a terminal"),
        ("export default {}", "JavaScript"),
    ],
)
def test_a_text_in_no_syntax_is_named_for_what_it_looks_like(text, what):
    assert describe_strange_text(text).startswith(what)


@pytest.mark.parametrize("text", ['{"a": 1}', "[a]", 'model = "x"', "A = 1", "extensions:", "// x\n{}", "- a"])
def test_a_text_that_may_be_one_is_not_called_strange(text):
    assert describe_strange_text(text) == ""


@pytest.mark.parametrize(
    "text, toml, yaml",
    [
        ('# mine\nmodel = "x"', True, False),
        ("[mcp_servers.a]", True, False),
        ('[mcp_servers."a b".env]', True, False),
        ("extensions:\n  a:", False, True),
        ("---\na: 1", False, True),
        ('{"a": 1}', False, False),
        ("[1, 2]", False, False),
        ("", False, False),
    ],
)
def test_what_a_text_looks_like(text, toml, yaml):
    assert (looks_like_toml(text), looks_like_yaml(text)) == (toml, yaml)
