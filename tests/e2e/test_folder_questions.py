"""The file of servers of a folder, and the person who types commands in it: who is told, asked, and believed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pexpect
import pytest

from .support.gateways import plain_entry
from .support.terminal_session import Home, plain

QUESTION = "go on, and trust this file as it is now? [y/N] "
OWN = Path(".config", "mcp-orchestration-gateway", "server_config.json")
FILE = "server_config.json"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path.resolve())


def evil(home: Home) -> dict[str, object]:
    """Return an entry that leaves a mark when it is started."""
    return {"name": "evil", "command": "touch", "args": [str(home.folder / "MARK")]}


def write(home: Home, *entries: dict[str, object], at: Path | str = FILE) -> Path:
    path = home.folder / at
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"servers": list(entries)}), encoding="utf-8")
    return path


def answer(home: Home, key: str, *words: str) -> tuple[int, str]:
    """Answer the question of a command; return exit code and screen text."""
    with home.open_terminal(*words) as child:
        child.expect_exact(QUESTION)
        asked = child.before
        child.send(key)
        child.expect(pexpect.EOF)
        child.close()
        code = child.exitstatus if child.exitstatus is not None else -1
        return code, plain(asked + child.before)


STARTING = [
    ("search", "x"),
    ("tools",),
    ("call", "evil__x"),
    ("describe", "evil__x"),
    ("doctor",),
    ("servers", "--start"),
    ("check", "--connect"),
    ("serve", "--transport", "http", "--port", "0"),
    ("--transport", "http", "--port", "0"),
    ("login", "evil"),
]


@pytest.mark.parametrize("words", STARTING, ids=map(" ".join, STARTING))
def test_a_verb_that_starts_servers_asks_first_and_enter_is_no(home: Home, words: tuple[str, ...]) -> None:
    file = write(home, evil(home))
    code, shown = answer(home, "\r", *words)
    assert f"{file}, which you have not trusted, would start these commands:" in " ".join(shown.split())
    assert f"evil: touch {home.folder / 'MARK'}" in shown
    assert (code, "nothing was started" in shown) == (1, True)
    assert not (home.folder / "MARK").exists()
    assert home.run("trust", "--list").stdout == "nothing is trusted\n"


@pytest.mark.parametrize("key, code", [("n\r", 1), ("\x04", 1), ("\x03", 130)], ids=["n", "Ctrl-D", "Ctrl-C"])
def test_whoever_does_not_say_yes_says_no(home: Home, key: str, code: int) -> None:
    write(home, evil(home))
    assert answer(home, key, "search", "x")[0] == code
    assert not (home.folder / "MARK").exists()
    assert home.run("trust", "--list").stdout == "nothing is trusted\n"


IMPATIENT = (
    "import sys, mcp_gateway_cli.commands.working_directory as folder; folder.ANSWER_SECONDS = 0.5; "
    "from mcp_gateway_cli.main import main; sys.exit(main(sys.argv[1:]))"
)


def test_serving_does_not_wait_for_ever_where_a_terminal_has_nobody(home: Home) -> None:
    file = write(home, evil(home))
    words = ("-c", IMPATIENT, "serve", "--transport", "http", "--port", "0")
    with home.open_terminal(*words, command=sys.executable) as child:
        child.expect_exact(QUESTION)
        child.expect(pexpect.EOF)
        child.close()
    shown = " ".join(plain(child.before).split())
    assert "nobody has answered within 0.5 s, so nothing was started" in shown
    assert f"SERVER_CONFIG_PATH={file}" in shown
    assert child.exitstatus == 1
    assert not (home.folder / "MARK").exists()


def test_yes_goes_on_trusts_the_file_and_is_asked_once(home: Home) -> None:
    file = write(home, plain_entry("plain"))
    code, shown = answer(home, "y\r", "tools")
    assert (code, "plain__echo" in shown, "it is trusted as it is now" in shown) == (0, True, True)
    assert home.run("trust", "--list").stdout == f"{file}: trusted\n"
    code, shown = home.watch("tools")
    assert (code, "plain__echo" in shown, "trust" in shown) == (0, True, False)
    write(home, plain_entry("plain"), evil(home))
    code, shown = answer(home, "\r", "tools")
    assert (code, "which has changed since you trusted it" in " ".join(shown.split())) == (1, True)
    assert not (home.folder / "MARK").exists()


def test_the_question_shows_all_that_would_be_started(home: Home) -> None:
    write(
        home,
        {"name": "words", "command": "sh", "args": ["-c", "echo a b"], "env": {"NODE_OPTIONS": "--require x"}},
        {"name": "both", "command": "npx", "url": "https://a.example/mcp"},
        {"name": "url", "url": "https://b.example/mcp?key=geheim"},
        {"name": "off", "command": "left-out", "enabled": False},
        {"name": "odd\u202e\x1b[2J", "command": "strange"},
        *({"name": f"s{number}", "command": "true"} for number in range(30)),
    )
    code, shown = answer(home, "\r", "tools")
    assert code == 1
    assert "words: sh -c 'echo a b' (env: NODE_OPTIONS)" in shown
    assert "both: npx" in shown
    assert "both: connects to https://a.example/mcp" in shown
    assert "url: connects to https://b.example/mcp\n" in shown
    assert r"odd\u202e\x1b[2J: strange" in shown
    assert "and 15 more: look at the file" in shown
    assert not any(word in shown for word in ("left-out", "geheim"))


def test_a_file_that_the_folders_env_names_is_asked_about_too(home: Home) -> None:
    file = write(home, evil(home), at="evil.json")
    (home.folder / ".env").write_text("SERVER_CONFIG_PATH=evil.json\n", encoding="utf-8")
    code, shown = answer(home, "\r", "tools")
    assert (code, str(file) in shown) == (1, True)
    assert not (home.folder / "MARK").exists()
    answer(home, "y\r", "tools")
    assert home.run("trust", "--list").stdout == f"{file}: trusted\n"
    assert home.run("trust", "--remove", "evil.json").returncode == 0
    assert home.run("trust", "--list").stdout == "nothing is trusted\n"


UNASKED = {
    "named by --config": (("--config", FILE, "tools"), {}),
    "named by the variable": (("tools",), {"SERVER_CONFIG_PATH": FILE}),
    "a running gateway is asked": (("call", "evil__x", "--running"), {}),
    "nothing is started": (("list",), {}),
    "nothing is connected to": (("check",), {}),
}


@pytest.mark.parametrize("words, variables", UNASKED.values(), ids=UNASKED)
def test_nobody_is_asked_about_a_named_file_or_where_nothing_starts(
    home: Home, words: tuple[str, ...], variables: dict[str, str]
) -> None:
    write(home, evil(home))
    _, shown = Home(home.folder, variables).watch(*words)
    assert QUESTION.strip() not in shown
    assert (home.folder / "MARK").exists() is (words[-1] == "tools")


def test_without_a_terminal_all_is_as_ever(home: Home) -> None:
    write(home, plain_entry("plain"))
    write(home, at=OWN)
    named = home.run("--config", FILE, "tools")
    unnamed = home.run("tools")
    assert (unnamed.returncode, "plain__echo" in unnamed.stdout) == (0, True)
    assert (unnamed.stdout, unnamed.stderr) == (named.stdout, named.stderr)
    assert home.run("list").stderr == ""
    assert home.run("trust", "--list").stdout == "nothing is trusted\n"


NOTES = {
    "untrusted": (False, False, "which you have not trusted; to use your own: --config "),
    "untrusted, beside the user's": (False, True, "which you have not trusted; to use your own: --config "),
    "trusted": (True, False, ""),
    "trusted, beside the user's": (True, True, "; to use your own: --config "),
}


@pytest.mark.parametrize("is_trusted, has_own, note", NOTES.values(), ids=NOTES)
def test_a_note_says_which_file_is_used_and_how_to_use_the_other(
    home: Home, is_trusted: bool, has_own: bool, note: str
) -> None:
    file, own = write(home, plain_entry("plain")), home.folder / OWN
    if has_own:
        write(home, at=OWN)
    if is_trusted:
        home.run("trust")
    code, shown = home.watch("list", columns=400)
    assert (code, shown.count("note: ")) == (0, 1 if note else 0)
    if note:
        assert f"note: this uses {file}" in shown
        assert f"{note}{own}" in shown


def test_the_users_own_file_is_no_strangers_though_one_stands_in_its_folder(home: Home) -> None:
    own = write(home, plain_entry("plain"), at=OWN)
    (home.folder / FILE).symlink_to(own)
    code, shown = home.watch("tools")
    assert (code, "plain__echo" in shown, "trust" in shown, "note: " in shown) == (0, True, False, False)


def test_add_says_who_reads_the_entry(home: Home) -> None:
    file = write(home, plain_entry("plain"))
    done = home.run("add", "one", "--no-try", "--", "true")
    assert done.stdout.startswith(f"added one to {file}; commands in this folder read it")
    assert "gateways that programs start here do not, because it is not trusted" in done.stdout
    home.run("trust")
    done = home.run("add", "two", "--no-try", "--", "true")
    assert done.stdout == f"added two to {file}; a running gateway picks it up within seconds\n"
