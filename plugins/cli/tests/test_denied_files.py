"""Files and folders that this user may not look at: each verb says which, in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "mcp_gateway.main"]
CAPABILITIES = "-dac_override,-dac_read_search"

OF_A_FILE = [
    ["check"],
    ["doctor"],
    ["list"],
    ["tools"],
    ["search", "x"],
    ["describe", "a__b"],
    ["call", "a__b"],
    ["servers", "--start"],
    ["add", "one", "--no-try", "--", "true"],
    ["remove", "one"],
    ["disable", "one"],
]

READERS = {
    "work/.env": [["check"], ["list"], ["add", "one", "--no-try", "--", "true"], ["init", "--yes"]],
    "work/server_config.json": [["check"], ["list"], ["add", "one", "--no-try", "--", "true"], ["trust"]],
    ".cursor/mcp.json": [["import", "cursor"], ["connect", "cursor"], ["init", "--dry-run", "--yes"]],
}
"""Verbs that read a file, for each place of a file."""


def as_nobody_special(arguments):
    """Return the command of a user whom rights bind, root too."""
    if os.geteuid():
        return arguments
    if (setpriv := shutil.which("setpriv")) is None:
        pytest.skip("rights do not bind root, and there is no setpriv")
    return [setpriv, "--bounding-set", CAPABILITIES, "--inh-caps", CAPABILITIES, *arguments]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a verb in a home of its own, bound by rights."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "SERVER_CONFIG_PATH", "GATEWAY_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    work = tmp_path / "work"
    work.mkdir()

    def run(*words):
        command = as_nobody_special([*COMMAND, *words])
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def deny():
    """Take a folder's rights away until the test ends."""
    denied = []

    def deny(folder, mode=0):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        denied.append(folder)
        probe = as_nobody_special([sys.executable, "-c", f"open({os.fspath(folder / 'x')!r}, 'w')"])
        if b"PermissionError" not in subprocess.run(probe, capture_output=True, check=False).stderr:
            pytest.skip("rights bind nobody here")

    yield deny
    for folder in denied:
        folder.chmod(0o700)


@pytest.fixture
def deny_file():
    """Make a file that this user may not read."""

    def deny_file(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
        file.chmod(0)
        probe = as_nobody_special([sys.executable, "-c", f"open({os.fspath(file)!r})"])
        if b"PermissionError" not in subprocess.run(probe, capture_output=True, check=False).stderr:
            pytest.skip("rights bind nobody here")

    return deny_file


@pytest.mark.parametrize("words", OF_A_FILE, ids=" ".join)
def test_a_file_in_a_denied_folder_is_named(run, deny, tmp_path, words):
    file = tmp_path / "locked" / "servers.json"
    deny(file.parent)
    verb, *rest = words
    done = run(verb, "--config", str(file), *rest)
    assert done.returncode != 0
    told = [line for line in (done.stdout + done.stderr).splitlines() if "Permission denied" in line]
    assert told
    assert f"{tmp_path}/locked/" in told[0]


@pytest.mark.parametrize("words", OF_A_FILE, ids=" ".join)
def test_a_denied_folder_of_the_users_own_file_is_named(run, deny, tmp_path, words):
    folder = tmp_path / ".config" / "mcp-orchestration-gateway"
    deny(folder)
    done = run(*words)
    assert done.returncode != 0
    assert any("Permission denied" in line and str(folder) in line for line in (done.stdout + done.stderr).splitlines())


def test_the_denied_folder_of_one_program_leaves_the_others(run, deny, tmp_path):
    cursor = tmp_path / ".cursor" / "mcp.json"
    cursor.parent.mkdir()
    cursor.write_text('{"mcpServers": {"time": {"command": "true"}}}', encoding="utf-8")
    deny(tmp_path / ".codex")
    done = run("init", "--dry-run", "--yes")
    shown = done.stdout + done.stderr
    assert "Permission denied" in shown
    assert "time" in shown


@pytest.mark.parametrize("words", [["import", "codex"], ["connect", "codex"]], ids=" ".join)
def test_a_denied_folder_of_a_program_is_named(run, deny, tmp_path, words):
    deny(tmp_path / ".codex")
    done = run(*words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"mcp-orchestration-gateway: {tmp_path}/.codex/config.toml: ")
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize("name, words", [(name, words) for name in READERS for words in READERS[name]], ids=str)
def test_a_denied_file_is_named_once_with_what_to_do(run, deny_file, tmp_path, name, words):
    deny_file(tmp_path / name)
    done = run(*words)
    assert done.returncode == 1
    (told,) = [line for line in (done.stdout + done.stderr).splitlines() if "Permission denied" in line]
    assert told.endswith("it cannot be read: Permission denied; let this user read it")
    assert told.count(name.rpartition("/")[2]) == 1


WRITERS = {
    ".cursor": [["connect", "cursor"], ["connect", "cursor", "--dry-run"], ["disconnect", "cursor"]],
    ".config/mcp-orchestration-gateway": [
        ["add", "two", "--", "no-such-command"],
        ["remove", "one"],
        ["disable", "one"],
        ["import", "cursor"],
        ["import", "cursor", "--dry-run"],
        ["init", "--yes"],
        ["init", "--dry-run"],
    ],
}
"""Verbs that write, for each folder that they write in."""

OWN = '{"servers": [{"name": "one", "command": "one"}]}'
CURSOR = '{"mcpServers": {"time": {"command": "no-such-command"}, "gateway": {"command": "mcp-orchestration-gateway"}}}'


@pytest.fixture
def written(tmp_path):
    """Write the file of servers, and that of a program."""
    files = {".config/mcp-orchestration-gateway/server_config.json": OWN, ".cursor/mcp.json": CURSOR}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return {tmp_path / name: text for name, text in files.items()}


@pytest.mark.parametrize("name, words", [(name, words) for name in WRITERS for words in WRITERS[name]], ids=str)
def test_a_change_that_cannot_be_written_is_not_shown(run, deny, written, name, words):
    (file,) = [path for path in written if path.parent.as_posix().endswith(name)]
    deny(file.parent, 0o500)
    done = run(*words)
    reason = f"it cannot be written: nothing can be made in {file.parent}; let this user write there"
    assert (done.returncode, done.stderr) == (1, f"mcp-orchestration-gateway: {file}: {reason}\n")
    assert not [line for line in done.stdout.splitlines() if line.strip().startswith(("+", "-", "changes", "tried"))]
    assert {path: path.read_text(encoding="utf-8") for path in written} == written


def test_a_program_whose_file_cannot_be_written_is_named_in_place_of_its_change(run, deny, tmp_path, written):
    zed = tmp_path / ".config" / "zed" / "settings.json"
    zed.parent.mkdir()
    zed.write_text('{"context_servers": {"notes": {"command": "notes"}}}', encoding="utf-8")
    deny(tmp_path / ".cursor", 0o500)
    for words in (("--dry-run",), ("--yes", "--no-try")):
        done = run("init", *words)
        assert done.returncode == 1
        _, _, changes = done.stdout.partition("changes:\n")
        assert [line for line in changes.splitlines() if line.startswith("  ~")] == [
            "  ~/.config/mcp-orchestration-gateway/server_config.json",
            "  ~/.config/zed/settings.json",
        ]
        assert "left as it is: ~/.cursor/mcp.json: it cannot be written: nothing can be made in" in changes
    assert (tmp_path / ".cursor" / "mcp.json").read_text(encoding="utf-8") == CURSOR


@pytest.mark.parametrize("words", [["undo", "--list"], ["undo"], ["undo", "--all", "--yes"]], ids=" ".join)
def test_a_denied_folder_of_former_contents_is_not_nothing_to_undo(run, deny, tmp_path, words):
    assert run("add", "one", "--no-try", "--", "one").returncode == 0
    edits = tmp_path / ".local" / "state" / "mcp-orchestration-gateway" / "edits"
    deny(edits)
    reason = f"{edits}: what can be undone cannot be read: Permission denied; let this user read it"
    done = run(*words)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"mcp-orchestration-gateway: {reason}\n")
    done = run(*words, "--json")
    assert (done.returncode, json.loads(done.stdout)["error"], done.stderr) == (1, reason, "")
