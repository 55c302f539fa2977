"""No command lets through what a terminal would obey, whoever says it: in a pipe, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from .support.gateways import GATEWAY, HERE, WAIT_SECONDS, Json, Launcher, LineReader

HOSTILE = str(HERE / "servers" / "escapes.py")
EVIL = "\x1b]0;mine\x07\x9b2J\u202e"
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
OWN = re.compile(rb"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\r(?=\x1b|\n|$)")
"""What tables and progress write themselves: weights of letters, and lines that are written again."""

VERBS = {
    "servers": [["servers", "--start"]],
    "check": [["check"], ["check", "--connect"]],
    "tools": [["tools"], ["tools", "--server", f"nobody{EVIL}"], ["tools"]],
    "search": [["search", "speak", "--explain"], ["search", "nothing-like-it"]],
    "call": [["call", "stdio__say"]]  # arguments are missing, and their names are shown
    + [["call", f"stdio__{tool}", "--no-check"] for tool in ("say", "fail", "refuse", "structured")]
    + [
        ["call", "http__refuse", "--no-check"],
        ["call", "dead__say"],
        ["call", "http_refusing__say"],
        ["call", "http_login__say"],
        ["call", "stdio__image", "--no-check"],
    ],
    "describe": [["describe", "stdio__say"]],
    "doctor": [["doctor"]],
    "list": [["list"]],
    "pins": [["pins"]],
    "plugins": [["plugins"]],
    "trust": [["trust"], ["trust", "--list"]],
    "schema": [["schema"]],
    "login": [["login", "http", "--no-browser"], ["login", f"nobody{EVIL}"]],
    "approve": [["approve", "stdio"], ["approve", "http"]],
}
WITH_JSON = ("servers", "check", "tools", "search", "call", "describe", "doctor", "list", "pins", "plugins")


def has_evil(output: bytes) -> str:
    """Return what of an output a terminal would obey, and a few characters before it."""
    found = FORBIDDEN.search(output.decode("utf-8", "surrogateescape"))
    return found.string[max(0, found.start() - 60) : found.end()] if found else ""


def on_a_terminal(launcher: Launcher, config: Path, *arguments: str) -> bytes:
    """Run one command with a terminal as standard output and error; return all that came out."""
    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[1] &= ~termios.OPOST  # or it writes carriage returns of its own
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    environment = launcher.environment(config, GATEWAY_LOG_FORMAT="auto")
    popen = subprocess.Popen(
        [GATEWAY, *arguments], env=environment, cwd=launcher.folder, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    chunks: list[bytes] = []
    try:
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    except OSError:  # Linux says so when the last process has let go of it
        pass
    os.close(ours)
    popen.wait(WAIT_SECONDS)
    return OWN.sub(b"", b"".join(chunks))


def in_a_pipe(launcher: Launcher, config: Path, *arguments: str) -> tuple[bytes, bytes]:
    """Run one command; return standard output and error."""
    environment = launcher.environment(config)
    done = subprocess.run(
        [GATEWAY, *arguments],
        env=environment,
        cwd=launcher.folder,
        capture_output=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    return done.stdout, done.stderr


def hostile(name: str, *arguments: str, **keys: object) -> Json:
    return {"name": name, "command": sys.executable, "args": [HOSTILE, *arguments], "max_retries": 0, **keys}


@pytest.fixture
def config(launcher: Launcher) -> Path:
    """Configure hostile servers over both transports, and entries that are odd themselves."""
    version = launcher.folder / "version"
    version.write_text("first", encoding="utf-8")
    http = launcher.start([sys.executable, HOSTILE, "http", "--version", str(version)], dict(os.environ))
    assert http.popen.stdout is not None
    port = int(http.popen.stdout.readline())
    urls = {"http": "mcp", "http_refusing": "refusing", "http_login": "login"}
    return launcher.config(
        hostile("stdio", "stdio", "--version", str(version)),
        hostile("dead", "stdio", "--dead"),
        hostile("refusing", "stdio", "--refusing"),
        {"name": "command", "command": "no-such-program \u202e"},
        {"name": "oauth", "url": f"http://127.0.0.1:{port}/login", "auth_type": "oauth", "max_retries": 0},
        *({"name": name, "url": f"http://127.0.0.1:{port}/{path}", "max_retries": 0} for name, path in urls.items()),
    )


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_that_others_say_reaches_the_terminal_as_a_command(launcher: Launcher, config: Path, verb: str) -> None:
    if verb in {"pins", "approve", "check"}:
        in_a_pipe(launcher, config, "tools")
        (launcher.folder / "version").write_text(f"second {EVIL}", encoding="utf-8")
        in_a_pipe(launcher, config, "tools")
    assert has_evil(on_a_terminal(launcher, config, *VERBS[verb][0])) == ""
    for arguments in VERBS[verb]:
        output, errors = in_a_pipe(launcher, config, *arguments)
        assert output or errors
        assert has_evil(output) == has_evil(errors) == ""
    if verb in WITH_JSON:
        output, errors = in_a_pipe(launcher, config, *VERBS[verb][-1], "--json")
        assert has_evil(output) == has_evil(errors) == ""
        json.loads(output)


def test_what_was_said_is_shown_though_and_in_json_it_is_what_it_was(launcher: Launcher, config: Path) -> None:
    shown = in_a_pipe(launcher, config, "call", "stdio__say", "--no-check")[0].decode()
    assert shown.startswith(r"hello\x1b]0;mine\x07\x1b[2J")
    assert r"\u202e" in shown
    told = json.loads(in_a_pipe(launcher, config, "call", "stdio__say", "--no-check", "--json")[0])
    assert told["content"][0]["text"].startswith("hello\x1b]0;mine\x07\x1b[2J\x1b[8m\r\x9b2J\x00")


def test_a_name_with_a_line_break_begins_no_line_of_its_own(launcher: Launcher, config: Path) -> None:
    for arguments in (["tools"], ["check", "--connect"], ["servers", "--start"]):
        output, errors = in_a_pipe(launcher, config, *arguments)
        assert b"\nall is well\n" not in b"\n" + output + errors


def test_a_login_that_an_authorization_server_refuses_shows_no_commands(launcher: Launcher, config: Path) -> None:
    login = launcher.start([GATEWAY, "login", "oauth", "--no-browser"], launcher.environment(config))
    assert login.popen.stdout is not None
    shown = LineReader(login.popen.stdout)
    link = shown.until(lambda line: "http://" in line).strip()
    with pytest.raises(HTTPError, match="502") as refused:
        urlopen(link, timeout=WAIT_SECONDS)
    assert has_evil(refused.value.read()) == ""
    login.popen.kill()
    login.popen.wait(WAIT_SECONDS)
    assert has_evil("\n".join([*shown.seen, *login.errors.seen]).encode()) == ""


def test_a_damaged_server_file_is_reported_without_its_commands(launcher: Launcher) -> None:
    path = launcher.folder / "servers.json"
    odd_entries = (
        hostile("keys", "stdio", **{f"key{EVIL}": EVIL}),
        hostile(f"name{EVIL}", "stdio"),
        {"name": "transport", "transport": f"t{EVIL}", "url": "http://127.0.0.1:1/"},
        {"name": "command", "command": f"no-such{EVIL}"},
        {"name": "url", "url": f"http://{EVIL}/"},
        {"name": "unset", "url": f"http://127.0.0.1:1/${{NOT{EVIL}}}"},
    )
    odd_files = [json.dumps({"servers": [entry]}, ensure_ascii=False) for entry in odd_entries]
    for content in (*odd_files, f"{{{EVIL}", json.dumps({EVIL: EVIL}), json.dumps({"servers": {EVIL: {EVIL: EVIL}}})):
        path.write_text(content, encoding="utf-8")
        output, errors = in_a_pipe(launcher, path, "check")
        assert has_evil(output) == has_evil(errors) == ""
