"""Commands are found on the PATH of the login shell when the gateway was started with a poor one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from mcp_gateway_transport_stdio.child.command import child_environment, find_obstacle, resolve_command
from mcp_gateway_transport_stdio.login_shell import read_login_path
from mcp_gateway_transport_stdio.options import StdioOptions

from mcp_gateway.plugin import ServerUnavailable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no login shells")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Make a home with a program that only the profile of the shell leads to."""
    folder = tmp_path / "tools"
    folder.mkdir()
    program = folder / "only-in-profile"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / ".profile").write_text(f'echo noise\nPATH="$PATH:{folder}:."; export PATH\n', encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("SECRET_OF_GATEWAY", "s3cr3t")
    read_login_path.cache_clear()
    yield tmp_path
    read_login_path.cache_clear()


def test_a_command_is_found_on_the_login_shells_path_and_gets_that_path(home):
    options = StdioOptions(command="only-in-profile")
    assert resolve_command(options) == f"{home}/tools/only-in-profile"
    assert find_obstacle(options) is None
    assert child_environment(options)["PATH"].split(os.pathsep) == [
        "/usr/bin",
        "/bin",
        *[part for part in read_login_path().split(os.pathsep) if part != "."],
    ]


def test_a_command_that_is_found_anyway_asks_no_shell(home, monkeypatch):
    monkeypatch.setenv("SHELL", str(home / "must-not-run"))
    assert resolve_command(StdioOptions(command="sh")).endswith("/sh")
    assert child_environment(StdioOptions(command="sh"))["PATH"] == "/usr/bin:/bin"
    assert read_login_path.cache_info().misses == 0


def test_a_path_in_the_configuration_is_the_only_one(home):
    with pytest.raises(ServerUnavailable, match="is not found"):
        resolve_command(StdioOptions(command="only-in-profile", env={"PATH": "/bin"}))


def test_a_path_to_a_program_asks_no_shell(home):
    with pytest.raises(ServerUnavailable, match="is not found"):
        resolve_command(StdioOptions(command="./only-in-profile"))
    assert read_login_path.cache_info().misses == 0


@pytest.mark.parametrize("shell", ["sh", "/nowhere/sh", "/etc/passwd"])
def test_without_a_usable_shell_nothing_is_found(home, monkeypatch, shell):
    monkeypatch.setenv("SHELL", shell)
    assert read_login_path() == ""


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_profile_that_hangs_is_ended(home, monkeypatch):
    monkeypatch.setattr("mcp_gateway_transport_stdio.login_shell.SECONDS", 0.2)
    monkeypatch.setenv("SHELL", script(home / "slow", "sleep 60 & sleep 60"))
    assert read_login_path() == ""


def test_a_shell_that_refuses_flags_is_asked_with_fewer(home, monkeypatch):
    monkeypatch.setenv("SHELL", script(home / "plain", '[ "$1" = -c ] && exec /bin/sh "$@"; exit 2'))
    assert read_login_path() == "/usr/bin:/bin"


def test_the_shell_gets_nothing_of_the_gateways_environment_and_runs_at_home(home, monkeypatch, tmp_path):
    said = home / "said"
    monkeypatch.setenv("SHELL", script(home / "spy", f'env > {said}; pwd >> {said}; exec /bin/sh "$@"'))
    assert f"{home}/tools" in read_login_path()
    told = said.read_text(encoding="utf-8")
    assert "s3cr3t" not in told
    assert told.splitlines()[-1] == str(home)
