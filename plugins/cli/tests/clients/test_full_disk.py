"""A full disk and folders that cannot be written: nothing is lost, and what fails is named."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders and limits of POSIX")

CURSOR = {"mcpServers": {"mail": {"command": "mail"}, "notes": {"command": "notes"}}}
ZED = '// mine\n{"vim_mode": true, "context_servers": {"search": {"command": "search"}}}\n'
OWN = '{"servers": [\n  {"name": "old", "command": "old"} // mine\n]}\n'
OWN_FILE = ".config/mcp-orchestration-gateway/server_config.json"
FILES = {".cursor/mcp.json": json.dumps(CURSOR), ".config/zed/settings.json": ZED, OWN_FILE: OWN}
SERVERS = ("mail", "notes", "search", "old")

VERBS = {
    "init": ("init", "--yes", "--no-try"),
    "import": ("import", "cursor", "--no-try"),
    "connect": ("connect", "cursor"),
    "add": ("add", "c", "--no-try", "--", "prog"),
    "disable": ("disable", "old"),
    "undo": ("undo",),
}


@pytest.fixture
def home(make_home):
    """Return a home folder with a file of servers, and two programs with servers."""
    return make_home(FILES)


def read_all(home):
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def check_nothing_is_lost(home, before, expected):
    """Check that each file is the old or the new one, and each server in one of them."""
    now = read_all(home)
    assert now.keys() <= before.keys() | expected.keys()
    for path, content in before.items():
        assert now[path] in (content, expected[path])
    for server in SERVERS:
        assert any(f'"{server}"'.encode() in content for content in now.values())


class FullDisk:
    """A disk that takes so many more files until it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: float = float("inf")
        self._sync: Callable[[int], None] = os.fsync
        monkeypatch.setattr(os, "fsync", self._write)

    def _write(self, descriptor: int) -> None:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        self._sync(descriptor)


@pytest.fixture
def disk(monkeypatch):
    return FullDisk(monkeypatch)


def prepare(run, verb):
    """Do what comes before a verb."""
    if verb == "undo":
        assert run(*VERBS["init"])[0] == 0


@pytest.mark.parametrize("verb", VERBS)
def test_wherever_the_disk_gets_full_every_file_is_the_old_or_the_new_one(verb, home, run, disk):
    original = read_all(home)
    prepare(run, verb)
    before = read_all(home)
    assert run(*VERBS[verb])[0] == 0
    expected = {**before, **read_all(home)}
    if verb != "undo":
        assert run("undo")[0] == 0
    assert read_all(home) == original
    for room in range(100):
        prepare(run, verb)
        disk.room = room
        code, out, err = run(*VERBS[verb])
        disk.room = float("inf")
        check_nothing_is_lost(home, before, expected)
        if code == 0:
            break
        assert "the disk is full (No space left on device)" in out + err
        assert any(path.name in out + err for path in expected)
        run("undo", "--all", "--yes")
        assert read_all(home) == original
    assert (code, room > 0) == (0, True)


def test_undo_takes_back_the_last_edit_that_happened(home, run, disk):
    before = read_all(home)
    assert run(*VERBS["add"])[0] == 0
    for room in range(3):
        disk.room = room
        assert run("add", "d", "--no-try", "--", "prog")[0] == 1
    disk.room = float("inf")
    assert [one["command"] for one in json.loads(run("undo", "--list", "--json")[1])["changes"]] == ["add"]
    assert run("undo")[0] == 0
    assert read_all(home) == before


@pytest.fixture
def forbid(monkeypatch):
    """Let a folder be one that cannot be written, for root too."""

    def forbid_folder(folder):
        for name in ("open", "mkdir"):
            original = getattr(os, name)

            def refuse(path, *arguments, original=original, name=name, **options):
                creates = name == "mkdir" or (arguments and arguments[0] & os.O_CREAT)
                if creates and Path(os.fsdecode(path)).is_relative_to(folder):
                    raise OSError(errno.EROFS, "Read-only file system", str(path))
                return original(path, *arguments, **options)

            monkeypatch.setattr(os, name, refuse)

    return forbid_folder


@pytest.mark.parametrize("verb", ["add", "disable", "connect", "import", "init"])
@pytest.mark.parametrize("place", ["file", "journal"])
def test_a_folder_that_cannot_be_written_is_named_and_nothing_changes(verb, place, home, run, forbid):
    before = read_all(home)
    file = home / (".cursor/mcp.json" if verb == "connect" else OWN_FILE)
    journal = home.parent / "state" / "mcp-orchestration-gateway" / "edits"
    forbid(journal if place == "journal" else file.parent)
    code, out, err = run(*VERBS[verb])
    said = (out + err).replace("~", str(home))
    assert (code, str(file) in said, "Read-only file system" in said) == (1, True, True), said
    assert (str(journal) in said) is (place == "journal")
    assert read_all(home) == before
    assert json.loads(run("undo", "--list", "--json")[1]) == {"changes": []}


def test_a_limit_of_the_system_is_met_like_a_full_disk(home):
    before = read_all(home)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))

    done = subprocess.run(
        # -B: within the limit Python would write the beginning of each compiled module, and read it from then on.
        [sys.executable, "-B", "-c", "import mcp_gateway_cli.main as cli; raise SystemExit(cli.main())", *VERBS["add"]],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "a file may not grow so large here (File too large)" in done.stderr) == (1, True), done
    assert read_all(home) == before
