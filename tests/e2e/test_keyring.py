"""Secrets in the system keyring: from a program's file to a call through the gateway, and all the way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .support.gateways import HERE, Launcher
from .support.raw_clients import StdioClient
from .support.sample_home import OWN_FILE, SECRET, SampleHome, make_sample_home

BACKENDS = HERE.parents[1] / "plugins" / "auth-oauth" / "tests"
NAME = "calendar.NOTEBOOK_KEY"


@pytest.fixture
def home(tmp_path: Path) -> SampleHome:
    """Return a home folder with a keyring that works, in a file."""
    made = make_sample_home(tmp_path / "home")
    keyring = {
        "PYTHON_KEYRING_BACKEND": "file_keyring.FileKeyring",
        "FILE_KEYRING": str(tmp_path / "ring.json"),
        "PYTHONPATH": str(BACKENDS),
    }
    return SampleHome(made.folder, {**made.variables, **keyring})


def read_ring(home: SampleHome) -> dict[str, str]:
    """Return what is in the keyring, by name."""
    ring = Path(home.variables["FILE_KEYRING"])
    kept = json.loads(ring.read_bytes()) if ring.exists() else {}
    return {name.partition("/")[2]: value for name, value in kept.items()}


def lock(home: SampleHome) -> SampleHome:
    """Return the home with a keyring that does not work."""
    return SampleHome(home.folder, {**home.variables, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"})


def ask_calendar(launcher: Launcher, home: SampleHome) -> str:
    """Start the gateway as Cursor would, and call a tool that shows its secret; return the text."""
    entry = json.loads((home.folder / ".cursor" / "mcp.json").read_bytes())["mcpServers"]["gateway"]
    assert entry["env"] == {"PYTHON_KEYRING_BACKEND": "file_keyring.FileKeyring"}
    process = launcher.start([entry["command"], *entry["args"]], {**home.environment, **entry["env"]})
    client = StdioClient(process=process, modern=False)
    answer = client.call("call_remote_tool", {"tool_name": "calendar__find_0", "arguments": {}})
    text: str = answer["result"]["content"][0]["text"]
    return text


def test_secrets_go_into_the_keyring_and_come_out_nowhere(home: SampleHome, launcher: Launcher) -> None:
    before = home.read_all()
    planned = home.run("init", "--dry-run", "--secrets", "keyring")
    assert (planned.returncode, read_ring(home), home.read_all()) == (0, {}, before)
    assert f"{NAME}: goes into the system keyring" in planned.stdout
    done = home.run("init", "--yes", "--secrets", "keyring")
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_ring(home) == {NAME: SECRET}
    assert home.own_servers["calendar"]["env"] == {"NOTEBOOK_KEY": f"${{keyring:{NAME}}}"}
    assert SECRET.encode() not in (home.folder / OWN_FILE).read_bytes()
    assert ask_calendar(launcher, home) == f"calendar: find_0: {SECRET}"
    verbs = ("secret list", "list --json", "check --connect --json", "doctor --json")
    said = [home.run(*verb.split()) for verb in verbs]
    assert said[0].stdout == f"{NAME}\n"
    assert not [one for one in (planned, done, *said) if SECRET in one.stdout + one.stderr]
    undone = home.run("undo")
    assert (undone.returncode, read_ring(home), home.read_all()) == (0, {}, before), undone.stderr


def test_a_person_at_a_terminal_is_asked_where_a_keyring_works(home: SampleHome) -> None:
    with home.open_terminal("import", "claude-desktop", "--no-try") as child:
        child.expect(r"move 1 secret \(calendar.NOTEBOOK_KEY\) into the system keyring\? \[y/N\]")
        child.sendline("y")
        child.expect("1 secret moved")
        child.wait()
    assert read_ring(home) == {NAME: SECRET}
    assert home.run("undo").returncode == 0
    code, screen = lock(home).watch("import", "claude-desktop", "--no-try")
    assert (code, "keyring" in screen) == (0, False)
    assert home.own_servers["calendar"]["env"] == {"NOTEBOOK_KEY": SECRET}


def test_a_person_may_say_no_and_the_secrets_stay(home: SampleHome) -> None:
    with home.open_terminal("init", "--no-try") as child:
        child.expect("which programs")
        child.sendline("")
        child.expect(r"move 1 secret .* into the system keyring\? \[y/N\]")
        child.sendline("")
        child.expect("write 9 files")
        child.sendline("y")
        child.expect("in 8 programs now")
        child.wait()
    assert read_ring(home) == {}
    assert home.own_servers["calendar"]["env"] == {"NOTEBOOK_KEY": SECRET}


def test_a_secret_is_kept_by_hand_and_shown_by_nothing(home: SampleHome) -> None:
    with home.open_terminal("secret", "set", "NOTEBOOK") as child:
        child.expect(r"NOTEBOOK \(it is not shown\): ")
        child.waitnoecho()
        child.sendline(SECRET)
        child.expect("is in the system keyring")
        child.wait()
        assert SECRET not in str(child.before)
    assert read_ring(home) == {"NOTEBOOK": SECRET}
    server = str(home.folder / "servers" / "notebook.py")
    target = ["--no-try", "-e", "NOTEBOOK_KEY=${keyring:NOTEBOOK}", "--", "python3", server, "book"]
    added = home.run("add", "book", *target)
    assert added.returncode == 0, added.stderr
    called = home.run("call", "book__find_0")
    assert called.stdout.strip() == f"book: find_0: {SECRET}"
    assert json.loads(home.run("secret", "remove", "NOTEBOOK", "--json").stdout) == {"removed": "NOTEBOOK"}
    for verb in ("check", "doctor"):
        said = home.run(verb)
        assert said.returncode in {1, 11}
        assert "${keyring:NOTEBOOK}: there is no such variable" in said.stdout + said.stderr
        assert "mcp-orchestration-gateway secret set NOTEBOOK" in said.stdout + said.stderr


def test_a_keyring_that_does_not_work_is_one_sentence_and_changes_nothing(home: SampleHome) -> None:
    before, locked = home.read_all(), lock(home)
    refused = locked.run("init", "--yes", "--secrets", "keyring")
    assert (refused.returncode, locked.read_all()) == (1, before)
    assert "there is no system keyring that works here; start one" in refused.stderr
    own = home.folder / OWN_FILE
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"servers": [{"name": "book", "command": "python3", "env": {"A": "${keyring:B}"}}]}))
    findings = json.loads(locked.run("doctor", "--json").stdout)["findings"]
    (found,) = [each for each in findings if each["subject"] == "book"]
    assert (found["code"], found["severity"]) == ("server-invalid", "error")
    assert found["message"] == "it is not used: ${keyring:B}: there is no system keyring that works here"
    assert found["mend"].startswith("start one, such as GNOME Keyring")
    assert "GATEWAY_DISABLED_PLUGINS leaves out mcp-gateway-variables-keyring" in (
        SampleHome(home.folder, {**home.variables, "GATEWAY_DISABLED_PLUGINS": "variables-keyring"}).run("check").stdout
    )
