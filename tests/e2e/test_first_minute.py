"""The first minute: from the configurations of eight programs to a call through the gateway, and all the way back."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pexpect
import pytest

from .support.first_minute_page import PAGE, normalize_page, record_page
from .support.gateways import Launcher
from .support.raw_clients import StdioClient
from .support.sample_home import GATEWAY_LINK, OWN_FILE, SECRET, SampleHome, make_sample_home

IMPORTED = {"calendar", "notes", "notes-vscode", "tickets", "wiki", "mail", "music"}


@pytest.fixture
def home(tmp_path: Path) -> SampleHome:
    return make_sample_home(tmp_path / "home")


def call_through(launcher: Launcher, home: SampleHome, tool: str) -> str:
    """Start the gateway as Cursor would, and call a tool; return its text."""
    entry = json.loads((home.folder / ".cursor" / "mcp.json").read_bytes())["mcpServers"]["gateway"]
    assert entry["command"] == str(home.folder / GATEWAY_LINK)
    process = launcher.start([entry["command"], *entry["args"]], home.environment)
    answer = StdioClient(process=process, modern=False).call("call_remote_tool", {"tool_name": tool, "arguments": {}})
    text: str = answer["result"]["content"][0]["text"]
    return text


def test_from_eight_programs_to_the_first_call_and_back(home: SampleHome, launcher: Launcher) -> None:
    before = home.read_all()
    done = home.run("init", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "7 of 8 servers work" in done.stdout
    assert set(home.own_servers) == IMPORTED
    assert home.own_servers["wiki"]["tools"] == {"exclude": ["write_3"]}
    after = home.read_all()
    assert all(after[name] != content for name, content in before.items())
    assert b'"broken"' in after[".cursor/mcp.json"]
    assert all(word in after[".config/Code/User/mcp.json"] for word in (b"// what I use at work", b'"asks"'))
    state = home.folder / ".local" / "state" / "mcp-orchestration-gateway"
    kept = [path for path in state.rglob("*") if path.is_file()]
    assert len(kept) > len(before)
    assert not [path for path in (home.folder / OWN_FILE, *kept) if path.stat().st_mode & 0o077]
    assert call_through(launcher, home, "calendar__find_0") == f"calendar: find_0: {SECRET}"
    again = home.run("init", "--yes")
    assert (again.returncode, home.read_all()) == (0, after), again.stdout
    undone = home.run("undo")
    assert undone.returncode == 0, undone.stderr
    assert home.read_all() == before
    assert "nothing to undo" in home.run("undo").stdout


def test_a_person_chooses_programs_and_may_say_no(home: SampleHome) -> None:
    before = home.read_all()
    with home.open_terminal("init") as child:
        child.expect("which programs")
        child.sendline("9")
        child.expect("numbers from 1 to 8")
        child.sendline("1, 6")
        child.expect("write 3 files")
        child.sendline("n")
        child.expect("nothing was written")
        child.wait()
    assert home.read_all() == before
    with home.open_terminal("init") as child:
        child.expect("which programs")
        child.sendline("6")
        child.expect("write 2 files")
        child.sendline("")
        child.expect("in 1 program now")
        child.wait()
    assert set(home.own_servers) == {"wiki"}
    assert home.watch("undo")[0] == 0
    assert home.read_all() == before


ENDS = {"none": ("none\n", 0), "n": ("n\n", 0), "Ctrl-D": ("\x04", 2), "Ctrl-C": ("\x03", 130)}


@pytest.mark.parametrize("question", ["which programs", "write 2 files"])
@pytest.mark.parametrize("keys, code", ENDS.values(), ids=ENDS)
def test_whoever_does_not_go_on_hears_that_nothing_was_written(
    home: SampleHome, question: str, keys: str, code: int
) -> None:
    if question == "write 2 files" and keys.startswith("none"):
        keys = "no\n"
    before = home.read_all()
    with home.open_terminal("init", "--no-try") as child:
        if question != "which programs":
            child.expect("which programs")
            child.sendline("6")
        child.expect(question)
        child.send(keys)
        child.expect("nothing was written")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code
        assert "no program here" not in child.before
    assert home.read_all() == before


def test_a_second_init_says_that_one_is_running(home: SampleHome) -> None:
    with home.open_terminal("init") as child:
        child.expect("which programs")
        second = home.run("init", "--yes")
        assert (second.returncode, "another init" in second.stderr) == (1, True), second.stderr
        child.sendeof()
        child.expect("nothing was written")
        child.wait()
        assert child.exitstatus == 2


def test_files_that_cannot_be_used_stay_and_the_others_go_on(home: SampleHome) -> None:
    (home.folder / ".gemini" / "settings.json").write_text('{"mcpServers": {')
    (home.folder / ".codex" / "config.toml").chmod(0o444)
    before = home.read_all()
    done = home.run("init", "--yes", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert sorted(Path(problem["file"]).name for problem in found["problems"]) == ["config.toml", "settings.json"]
    assert "read-only" in "".join(problem["reason"] for problem in found["problems"])
    assert len(found["written"]) == 7
    assert found["tokens"]["saved"] > 1000
    after = home.read_all()
    assert all(after[name] == before[name] for name in (".gemini/settings.json", ".codex/config.toml"))
    home.run("undo")
    assert home.read_all() == before


KILLED = """
import os, signal, sys
from mcp_gateway_cli.editing import files
from mcp_gateway_cli.main import main
write, written = files._write_beside, []
def write_or_die(target, content, mode):
    if len(written) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(target)
    write(target, content, mode)
files._write_beside = write_or_die
main(["init", "--yes", "--no-try"])
"""


def test_what_was_killed_in_the_middle_can_be_undone(home: SampleHome) -> None:
    before = home.read_all()
    killed = home.run(KILLED, command=(sys.executable, "-c"))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert 1 < sum(content != before.get(name) for name, content in home.read_all().items()) < 8
    undone = home.run("undo")
    assert (undone.returncode, home.read_all()) == (0, before), undone.stderr


def test_the_parts_of_init_work_alone(home: SampleHome) -> None:
    before = home.read_all()
    assert "1 of 1 servers work" in home.watch("import", "cursor", "--server", "notes")[1]
    assert "nothing new" in home.run("import", "claude-code").stdout
    assert home.watch("connect", "lm-studio")[0] == 0
    assert home.run("connect", "zed").returncode == 0
    assert b'"gateway"' in (home.folder / ".config" / "zed" / "settings.json").read_bytes()
    assert home.watch("disconnect", "zed")[0] == 0
    assert home.run("disconnect", "lm-studio").returncode == 0
    assert home.run("undo", "--all").returncode == 2
    with home.open_terminal("undo", "--all") as child:
        child.expect(r"put 1 file back as before, and remove .*, which were not there\? \[y/N\] ")
        child.sendline("y")
        child.expect("1 file put back, 2 removed again")
        child.wait()
    assert (home.read_all(), (home.folder / ".lmstudio" / "mcp.json").exists()) == (before, False)


def test_the_page_is_what_a_terminal_shows(home: SampleHome) -> None:
    recorded = normalize_page(record_page(home))
    if os.environ.get("UPDATE_PAGES"):
        PAGE.write_text(recorded, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == recorded
