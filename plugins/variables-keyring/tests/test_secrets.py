"""Secrets in the keyring: what is kept where, and what is said of a keyring that does not work."""

from __future__ import annotations

import json

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from mcp_gateway_variables_keyring.names import list_names
from mcp_gateway_variables_keyring.secrets import list_secrets, read_secret, remove_secret, write_secret

from mcp_gateway.plugin import VariableError

from .memory_keyring import SECRET, BrokenKeyring, ClosedKeyring, FullKeyring, LockedKeyring


def test_secrets_are_kept_apart_from_those_of_other_programs_and_of_the_gateway_itself(kept):
    kept["mcp-orchestration-gateway", "oauth-tokens"] = "key"
    kept["another program", "github"] = "token"
    assert read_secret("oauth-tokens") is None
    assert read_secret("github") is None
    write_secret("github", "mine")
    assert kept["mcp-orchestration-gateway secrets", "github"] == "mine"
    assert kept["another program", "github"] == "token"


def test_names_are_listed_in_order_without_what_somebody_else_removed(kept):
    for name in ("b", "a", "c", "a"):
        write_secret(name, SECRET)
    assert list_secrets() == ["a", "b", "c"]
    del kept["mcp-orchestration-gateway secrets", "b"]
    assert list_secrets() == ["a", "c"]
    assert remove_secret("b") is False
    assert list_names() == ["a", "c"]


def test_the_file_of_names_has_no_values_and_is_the_users_own(tmp_path):
    write_secret("a", SECRET)
    (file,) = tmp_path.rglob("keyring-names.json")
    assert [*json.loads(file.read_bytes())] == ["a"]
    assert SECRET.encode() not in file.read_bytes()
    assert not file.stat().st_mode & 0o077


def test_names_without_times_are_read_too(tmp_path):
    write_secret("a", SECRET)
    (file,) = tmp_path.rglob("keyring-names.json")
    file.write_text('["a"]')
    write_secret("b", SECRET)
    assert list_secrets() == ["a", "b"]


def test_a_broken_file_of_names_is_named(tmp_path):
    write_secret("a", SECRET)
    (file,) = tmp_path.rglob("keyring-names.json")
    file.write_text("{")
    with pytest.raises(VariableError, match=r"keyring-names\.json: .* remove this file"):
        list_secrets()


@pytest.mark.parametrize(
    "backend, sentence",
    [
        (NoKeyring, "there is no system keyring that works here; start one"),
        (LockedKeyring, "the system keyring is locked; unlock it, then try again"),
        (ClosedKeyring, "the system keyring does not open; see whether it is running, unlock it, then try again"),
        (BrokenKeyring, "the system keyring has failed: OSError; see whether it is running"),
    ],
)
@pytest.mark.parametrize("use", [read_secret, remove_secret, lambda name: write_secret(name, SECRET)])
def test_a_keyring_that_fails_is_one_sentence_without_its_own_words(backend, sentence, use):
    keyring.set_keyring(backend())
    with pytest.raises(VariableError) as caught:
        use("a")
    assert str(caught.value).startswith(sentence)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_what_a_keyring_does_not_take_is_not_listed():
    keyring.set_keyring(FullKeyring())
    with pytest.raises(VariableError, match="cannot keep it; it may be too long") as caught:
        write_secret("a", SECRET)
    assert SECRET not in str(caught.value)
    assert list_names() == []
