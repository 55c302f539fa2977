"""The life of a secret in a real keyring: set, used, rotated, locked, killed, removed, and moved there and back."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_gateway_variables_keyring import mcp_gateway_variable_sources
from mcp_gateway_variables_keyring.secrets import write_secret

from mcp_gateway_testkit import VariableSourceContract

from ..e2e.support.gateways import GATEWAY, Launcher, until
from ..e2e.support.raw_clients import Client, HttpClient, StdioClient
from ..e2e.support.sample_home import OWN_FILE, SECRET, SampleHome
from .support.gnome import GnomeHome

FIRST, SECOND = "first-s3cret", "second-s3cret"
LOCKED = "the system keyring is locked; unlock it, then try again"
NOTHING = "there is no system keyring that works here; start one"
SERVING_SECONDS, OTHER_SECONDS = 5, 20
"""How long a gateway waits for a keyring, and how long another command."""


def book(**more: object) -> dict[str, object]:
    return {"command": "python3", "args": ["servers/notebook.py", "book"], **more}


def configure(home: SampleHome, **servers: object) -> None:
    """Write the gateway's own file, with a server that wants the secret and one that wants none."""
    entries = {"book": book(env={"NOTEBOOK_KEY": "${keyring:BOOK}"}), "plain": book(), **servers}
    path = home.folder / OWN_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = {name: {**entry, "cwd": str(home.folder)} for name, entry in entries.items()}
    path.write_text(json.dumps({"mcpServers": folder}))


def set_secret(home: SampleHome, value: str, name: str = "BOOK") -> None:
    done = home.run("secret", "set", name, text=f"{value}\n")
    assert done.returncode == 0, done.stderr


def serve(launcher: Launcher, home: SampleHome, over: str) -> Client:
    """Start a gateway as a client or a person does, with the environment of the home."""
    environment = {**home.environment, "GATEWAY_LOG_FORMAT": "json"}
    if over == "stdio":
        return StdioClient(process=launcher.start([GATEWAY], environment), modern=False)
    process = launcher.start([GATEWAY, "--transport", "http", "--port", "0"], environment)
    return HttpClient(url=process.wait_for("ready")["where"], modern=True)


def ask(client: Client, server: str = "book") -> str:
    """Call a tool that shows its secret; return the text."""
    answer = client.call("call_remote_tool", {"tool_name": f"{server}__find_0", "arguments": {}})
    text: str = answer["result"]["content"][0]["text"]
    return text


def says(client: Client, words: str, server: str = "book") -> None:
    until(lambda: words in ask(client, server), words)


@pytest.mark.parametrize("over", ["stdio", "http"])
def test_a_secret_is_set_used_rotated_and_removed_while_gateways_run(
    home: GnomeHome, launcher: Launcher, over: str
) -> None:
    configure(home)
    set_secret(home, FIRST)
    assert home.read_ring() == {"BOOK": FIRST}
    both = [serve(launcher, home, over) for _ in range(2)]
    for client in both:
        says(client, f"book: find_0: {FIRST}")
    set_secret(home, SECOND)
    for client in both:
        says(client, f"book: find_0: {SECOND}")
    assert home.run("secret", "list").stdout == "BOOK\n"
    assert home.run("secret", "remove", "BOOK").returncode == 0
    for client in both:
        says(client, "put it into the system keyring: mcp-orchestration-gateway secret set BOOK")
    assert home.read_ring() == {}
    set_secret(home, FIRST)
    for client in both:
        says(client, f"book: find_0: {FIRST}")


@pytest.mark.parametrize("over", ["stdio", "http"])
def test_a_gateway_that_met_a_locked_keyring_needs_no_restart(home: GnomeHome, launcher: Launcher, over: str) -> None:
    configure(home)
    set_secret(home, FIRST)
    home.lock()
    for verb in ("secret list", "secret remove BOOK", "check", "call book__find_0"):
        done = home.run(*verb.split())
        assert (done.returncode, LOCKED in done.stdout + done.stderr) == (1, True), verb
        assert FIRST not in done.stdout + done.stderr
    assert LOCKED in home.run("secret", "set", "OTHER", text=SECOND).stderr
    client = serve(launcher, home, over)
    says(client, "book: find_0: no key", "plain")
    says(client, LOCKED)
    home.unlock()
    says(client, f"book: find_0: {FIRST}")


@pytest.mark.parametrize("end", [GnomeHome.lock, GnomeHome.kill_daemon])
def test_a_keyring_that_locks_or_dies_takes_no_server_away(home: GnomeHome, launcher: Launcher, end: object) -> None:
    configure(home)
    set_secret(home, FIRST)
    client = serve(launcher, home, "stdio")
    says(client, f"book: find_0: {FIRST}")
    end(home)  # type: ignore[operator]
    configure(home, more=book())
    says(client, "book: find_0: no key", "more")
    assert ask(client) == f"book: find_0: {FIRST}"
    if end is GnomeHome.kill_daemon:
        home.start_daemon()
    home.unlock()
    set_secret(home, SECOND)
    says(client, f"book: find_0: {SECOND}")


def check_nothing(home: SampleHome) -> None:
    """Try a home in which there is no keyring."""
    configure(home)
    for verb in ("secret remove BOOK", "check", "call book__find_0"):
        done = home.run(*verb.split())
        assert (done.returncode, NOTHING in done.stdout + done.stderr) == (1, True), verb
    assert NOTHING in home.run("secret", "set", "BOOK", text=FIRST).stderr
    assert home.run("call", "plain__find_0").stdout == "book: find_0: no key\n"


def test_a_bus_without_a_keyring_is_one_sentence(bare: GnomeHome) -> None:
    check_nothing(bare)


@pytest.mark.parametrize("address", ["unix:path=/nowhere/bus", "nonsense"])
def test_no_bus_is_one_sentence(bare: GnomeHome, address: str) -> None:
    check_nothing(SampleHome(bare.folder, {**bare.variables, "DBUS_SESSION_BUS_ADDRESS": address}))


def test_nobody_at_the_screen_holds_up_neither_start_nor_end(home: GnomeHome, launcher: Launcher) -> None:
    configure(home)
    set_secret(home, FIRST)
    home.lock()
    home.start_silent_prompter()
    checked = home.run("check")
    assert f"has not answered within {OTHER_SECONDS} s; unlock it, then try again" in checked.stdout
    client = serve(launcher, home, "stdio")
    assert isinstance(client, StdioClient)
    assert ask(client, "plain") == "book: find_0: no key"
    assert f"has not answered within {SERVING_SECONDS} s" in ask(client)  # and so it is asked again
    client.process.popen.send_signal(signal.SIGTERM)
    assert client.process.popen.wait(60) == 0


def test_secrets_of_programs_go_there_and_undo_brings_them_back(home: GnomeHome, launcher: Launcher) -> None:
    before, name = home.read_all(), "calendar.NOTEBOOK_KEY"
    done = home.run("init", "--yes", "--secrets", "keyring")
    assert done.returncode == 0, done.stdout + done.stderr
    assert home.read_ring() == {name: SECRET}
    assert not [file for file, content in home.read_all().items() if SECRET.encode() in content]
    entry = json.loads((home.folder / ".cursor" / "mcp.json").read_bytes())["mcpServers"]["gateway"]
    process = launcher.start([entry["command"], *entry["args"]], {**home.environment, **entry.get("env", {})})
    assert ask(StdioClient(process=process, modern=False), "calendar") == f"calendar: find_0: {SECRET}"
    home.lock()
    undone = home.run("undo")
    assert SECRET not in done.stdout + undone.stdout + undone.stderr
    assert f"the secret {name!r} stays in the system keyring: {LOCKED}" in undone.stdout + undone.stderr
    home.unlock()
    assert home.run("secret", "remove", name).returncode == 0
    assert (home.read_ring(), home.read_all()) == ({}, before)
    assert home.run("import", "claude-desktop", "--no-try", "--secrets", "keyring").returncode == 0
    assert home.read_ring() == {name: SECRET}
    assert home.run("undo").returncode == 0
    assert (home.read_ring(), home.read_all()) == ({}, before)


class TestContract(VariableSourceContract):
    (source,) = mcp_gateway_variable_sources()

    @pytest.fixture
    def values(self, home: GnomeHome, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
        import keyring
        from keyring.backends.SecretService import Keyring

        for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS"):
            monkeypatch.setenv(name, home.environment[name])
        before = keyring.get_keyring()
        keyring.set_keyring(Keyring())
        write_secret("github.TOKEN", FIRST)
        yield {"github.TOKEN": FIRST}
        keyring.set_keyring(before)


def test_the_file_of_names_is_in_the_home(home: GnomeHome) -> None:
    set_secret(home, FIRST)
    (file,) = Path(home.environment["XDG_STATE_HOME"]).rglob("keyring-names.json")
    assert FIRST not in file.read_text()
