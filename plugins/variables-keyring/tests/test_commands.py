"""`secret` on the command line."""

from __future__ import annotations

import getpass
import io
import json
from argparse import Namespace

import keyring
import keyring.backends.fail
import pytest
from mcp_gateway_variables_keyring import commands
from mcp_gateway_variables_keyring.commands import run
from mcp_gateway_variables_keyring.secrets import read_secret, write_secret

from mcp_gateway.plugin import ConfigError, UsageError, VariableError
from mcp_gateway_testkit import RecordingContext

from .memory_keyring import SECRET, SilentKeyring


def secret(action, name=None, *, as_json=False):
    context = RecordingContext()
    code = run(context, Namespace(action=action, name=name, json=as_json))
    assert SECRET not in str(context)
    return code, context


@pytest.fixture
def piped(monkeypatch):
    def pipe(text):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return pipe


@pytest.mark.parametrize("text, value", [(f"{SECRET}\n", SECRET), ("a\nb\r\n", "a\nb"), (" spaced ", " spaced ")])
def test_a_secret_is_read_from_a_pipe(piped, text, value):
    piped(text)
    code, context = secret("set", "crm")
    assert (code, read_secret("crm")) == (0, value)
    assert "${keyring:crm}" in context.shown[0]


def test_a_secret_is_read_from_a_terminal_without_an_echo(monkeypatch):
    terminal = io.StringIO("what a terminal would show as it is typed")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: {"crm (it is not shown): ": SECRET}[prompt])
    assert secret("set", "crm", as_json=True)[1].shown == ['{"set": "crm"}']
    assert read_secret("crm") == SECRET


def test_an_empty_secret_is_not_kept(piped):
    piped("\n")
    with pytest.raises(ConfigError, match="'crm' is empty"):
        secret("set", "crm")
    assert read_secret("crm") is None


def test_a_secret_that_is_no_text_is_not_kept(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="'crm' is not UTF-8, so it was not kept"):
        secret("set", "crm")
    assert read_secret("crm") is None


@pytest.mark.parametrize("name", ["a}b", "a b", "", "x" * 201, "a\nb"])
def test_a_name_that_no_variable_could_have_is_refused_before_the_secret_is_read(name, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ConfigError, match="a secret's name has letters"):
        secret("set", name)


def test_a_secret_is_removed_once():
    write_secret("crm", SECRET)
    assert secret("remove", "crm", as_json=True)[1].shown == ['{"removed": "crm"}']
    assert read_secret("crm") is None
    with pytest.raises(ConfigError, match="has no secret 'crm'; see: mcp-orchestration-gateway secret list"):
        secret("remove", "crm")


def test_names_are_listed_and_values_never():
    assert "no secrets" in secret("list")[1].shown[0]
    write_secret("crm", SECRET)
    assert secret("list")[1].shown == ["crm"]
    assert json.loads(secret("list", as_json=True)[1].shown[0]) == {"names": ["crm"]}


@pytest.mark.parametrize("action, name", [("list", "crm"), ("set", None), ("remove", None)])
def test_a_name_too_few_or_too_many_is_a_wrong_command_line(action, name):
    with pytest.raises(UsageError, match="secret set NAME"):
        secret(action, name)


@pytest.mark.parametrize("action, name", [("set", "crm"), ("list", None), ("remove", "crm")])
def test_without_a_keyring_that_is_said_before_anything_else(monkeypatch, action, name):
    monkeypatch.setattr("sys.stdin", None)  # from which nothing is read
    keyring.set_keyring(keyring.backends.fail.Keyring())
    with pytest.raises(VariableError, match="there is no system keyring that works here"):
        secret(action, name)


def test_a_keyring_that_does_not_answer_is_waited_for_within_bounds(monkeypatch):
    monkeypatch.setattr(commands, "_SECONDS", 0.05)
    keyring.set_keyring(silent := SilentKeyring())
    try:
        with pytest.raises(VariableError, match=r"has not answered within 0\.05 s; unlock it"):
            secret("remove", "crm")
    finally:
        silent.released.set()
