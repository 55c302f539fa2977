"""The user's own file, and whether a program must be told where it is."""

from __future__ import annotations

import pytest
from mcp_gateway_cli.clients.own_file import find_own_file, find_variables, init_lock

from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError


def test_the_file_of_the_working_directory_is_not_the_users(tmp_path):
    (tmp_path / "server_config.json").write_text('{"servers": []}')
    (tmp_path / ".env").write_text("SERVER_CONFIG_PATH=./evil.json\n")
    own = tmp_path / "config" / "mcp-orchestration-gateway" / "server_config.json"
    assert find_own_file(ControlContext()) == own


def test_a_file_that_is_named_is_the_users(tmp_path):
    assert find_own_file(ControlContext({"SERVER_CONFIG_PATH": "mine.json"})) == tmp_path / "mine.json"


def test_a_program_is_told_of_a_file_that_it_would_not_find(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    own = find_own_file(ControlContext())
    assert find_variables(own, {"XDG_CONFIG_HOME": str(tmp_path / "config")}) == {"SERVER_CONFIG_PATH": str(own)}
    assert find_variables(tmp_path / "mine.json", {}) == {"SERVER_CONFIG_PATH": str(tmp_path / "mine.json")}
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    own = find_own_file(ControlContext())
    assert find_variables(own, {"XDG_CONFIG_HOME": str(tmp_path / ".config")}) == {}
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert find_variables(find_own_file(ControlContext()), {}) == {}


def test_a_program_is_told_which_keyring_a_person_has_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    chosen = {"PYTHON_KEYRING_BACKEND": "mine.Keyring"}
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert find_variables(find_own_file(ControlContext()), chosen) == chosen
    named = tmp_path / "mine.json"
    assert find_variables(named, chosen) == {"SERVER_CONFIG_PATH": str(named), **chosen}


def test_only_one_may_change_programs_files_at_a_time():
    said = "another init, import, connect or undo of yours is running"
    with init_lock(), pytest.raises(ConfigError, match=said), init_lock():
        pytest.fail("it came in")
    with init_lock():
        pass
