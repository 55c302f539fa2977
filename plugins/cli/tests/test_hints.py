"""Hints name tools where a model reads them, and commands where a person does."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest
from mcp_gateway_cli.output.tables import show_table
from mcp_gateway_cli.parser import parse_arguments
from mcp_gateway_cli.verbs import VERBS

from mcp_gateway.control.terminal import complain, show
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.protocol.tool_names import OWN_TOOLS
from mcp_gateway.text.hints import HINTS, rephrase_for_people

_ROOT = Path(__file__).parents[3]
_FOR_MODELS = re.compile(rf"\b({'|'.join([*OWN_TOOLS, 'use_regex', 'auth_header', 'server_name', 'max_results'])})\b")
"""The built-in tools, and those of their parameters that no other word is."""

_TO_WHOEVER_GAVE_ONE = (
    "leave auth_header out",
    "or auth_header, must not have control characters",
    "auth_header must not have control characters",
    "The header that auth_header of one call replaces",
)
"""What is said of a header that a call has brought, which no command does."""

_FOR_MODELS_ONLY = {
    "server/builtin_tools.py",  # their definitions
    "server/server_info.py",  # the instructions
    "server/tools.py",  # errors about arguments, which have their own translation
    "text/hints.py",
    "config/settings.py",  # documentation of settings
}


def _source_files():
    return [*(_ROOT / "core/src").rglob("*.py"), *_ROOT.glob("plugins/*/src/**/*.py")]


def _list_texts(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    loose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in loose:
            yield node.value


def test_every_text_that_names_a_tool_has_words_for_people():
    known = [hint.for_models for hint in HINTS]
    files = _source_files()
    assert len(files) > 300
    strange = [
        (str(path), text)
        for path in files
        if not str(path).endswith(tuple(_FOR_MODELS_ONLY))
        for text in _list_texts(path)
        if _FOR_MODELS.search(_without(text, [*known, *_TO_WHOEVER_GAVE_ONE])) and not _FOR_MODELS.fullmatch(text)
    ]
    assert strange == []


def _without(text, phrases):
    for phrase in phrases:
        text = text.replace(phrase, "")
    return text


@pytest.mark.parametrize("hint", HINTS, ids=lambda hint: hint.for_models[:30])
def test_the_words_for_people_are_commands_that_can_be_typed(hint):
    assert _FOR_MODELS.search(hint.for_models)
    assert rephrase_for_people(f"so: {hint.for_models}!") == f"so: {hint.for_people}!"
    assert not _FOR_MODELS.search(hint.for_people)
    commands = {command.name: command for command in VERBS}
    parts = hint.for_people.split(f"{NAME} ")[1:]
    assert parts
    for part in parts:
        verb, *words = shlex.split(part.replace("'", ""))
        verb = verb.strip(",;")
        assert verb in commands
        flags = [name for argument in commands[verb].arguments for name in argument.names]
        assert all(word.strip(",;") in flags for word in words if word.startswith("-"))


@pytest.mark.parametrize(
    "words", [["describe", "nope"], ["call", "nope"], ["call", "alpha__nope"], ["describe", "alpha__nope"]]
)
def test_a_wrong_name_leads_a_person_to_a_command(run, servers, remote, words):
    servers({"name": "alpha", "transport": "memory"})
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert f"find names with: {NAME} search WORDS" in err


@pytest.mark.parametrize("typed", ["mcp-gateway", "/usr/bin/mcp-gateway", "mcp-gateway.exe"])
def test_commands_have_the_name_that_was_typed(typed, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [typed])
    line = f"see {NAME} pins, in ~/.config/{NAME} or: {NAME}: no"
    show(line)
    complain(line)
    show_table(("what",), [(line,)])
    printed = capsys.readouterr()
    wanted = f"see mcp-gateway pins, in ~/.config/{NAME} or: mcp-gateway: no"
    assert (printed.out.splitlines(), printed.err.splitlines()) == ([wanted] * 2, [wanted])
    with pytest.raises(Exception, match="mcp-gateway status"):
        parse_arguments(next(one for one in VERBS if one.name == "status"), ["--nope"])


def test_another_name_of_the_process_is_not_taken_for_the_programs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
    show(f"see {NAME} pins")
    assert capsys.readouterr().out == f"see {NAME} pins\n"
