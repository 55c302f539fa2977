"""What each verb shows on a terminal: 40, 80 and 120 columns wide, with styles and without."""

from __future__ import annotations

import io
import re
import sys

import pytest
from mcp_gateway_cli.main import main
from mcp_gateway_cli.verbs import VERBS

from core.tests.support.fake_servers import tool
from mcp_gateway.control.commands import CORE_COMMANDS
from mcp_gateway.text.wrapping import fill, measure

PATH = "/opt/somewhere/tools/bin/a-server-of-a-rather-long-name"
URL = "https://servers.example.com/of/a/rather/long/path/to/mcp"
ABOUT = f"It looks for what the arguments describe, as {URL} explains in all length, and leaves out the archive"

SCREENS = [
    *([command.name, "--help"] for command in (*VERBS, *CORE_COMMANDS)),
    ["--help"],
    ["list"],
    ["check"],
    ["check", "--connect"],
    ["status"],
    ["servers"],
    ["servers", "--start"],
    ["search", "look"],
    ["search", "look", "--explain"],
    ["search", "nothing-like-it"],
    ["tools"],
    ["describe", "alpha__look"],
    ["describe", "alpha__lok"],
    ["call", "alpha__look"],
    ["call", "alpha__look", "--no-check"],
    ["call", "nope"],
    ["pins"],
    ["plugins"],
    ["plugins", "info", "words"],
    ["trust", "--list"],
    ["undo", "--list"],
    ["connect", "cursor", "--dry-run"],
    ["init", "--dry-run"],
    ["logs"],
    ["lgos"],
]
STYLES = {"styled": {"TERM": "xterm"}, "without colours": {"TERM": "xterm", "NO_COLOR": "1"}, "dumb": {"TERM": "dumb"}}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch, servers, remote):
    """Run a command on a terminal; return all that it shows."""
    where = {"type": "string", "description": ABOUT}
    schema = {"type": "object", "properties": {"where": where, "how_many": {"type": "integer"}}, "required": ["where"]}
    remote.tools = [tool("look", ABOUT, inputSchema=schema)]
    servers(
        {"name": "alpha", "transport": "memory"},
        {"name": "files", "command": PATH, "args": ["--folder", PATH], "enabled": False},
        {"name": "wrong", "command": PATH, "args": f"it is no list, as {URL} says"},
    )

    def run_command(arguments, columns, **variables):
        terminal = Terminal()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", terminal)
            patched.setattr(sys, "stderr", terminal)
            patched.delenv("NO_COLOR", raising=False)
            for name, value in {"COLUMNS": str(columns), **variables}.items():
                patched.setenv(name, value)
            main(arguments)
        return terminal.getvalue()

    return run_command


def find_words(text):
    """Return the words of a screen; numbers and marks of time may differ from run to run."""
    return {re.sub(r"\d+", "0", word) for word in text.split() if word.strip("─-")}


def is_whole(line):
    """Whether a line that is too wide is a word, a command to copy, or what argparse does not break."""
    text = line.removeprefix("usage: ").split("  ")[-1].strip()
    return len(fill(text, 1)) == 1 or text.startswith((PATH, "-H ", "mkdir -p "))


@pytest.mark.parametrize("arguments", SCREENS, ids=" ".join)
def test_no_word_is_broken_at_any_width(screen, arguments):
    whole = find_words(screen(arguments, 2000, TERM="dumb"))
    assert whole
    for columns in (40, 80, 120):
        text = screen(arguments, columns, TERM="dumb")
        assert whole - find_words(text) == set()
        for line in text.splitlines():
            assert measure(line) <= columns or is_whole(line), line


@pytest.mark.parametrize("columns", [40, 80])
def test_the_picture_of_a_mistake_is_two_lines(screen, tmp_path, columns):
    (tmp_path / "server_config.json").write_text(
        '{"servers": [{"name": "a", "args": ["%s"] "command": "b"}]}' % ("x" * 90)
    )
    lines = screen(["check"], columns, TERM="dumb").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("    1 | "))
    assert lines[place + 1].strip(" |") == "^"
    assert max(map(measure, lines[place : place + 2])) <= columns


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("arguments", [["servers", "--start"], ["describe", "alpha__look"], ["plugins"], ["--help"]])
def test_control_sequences_are_only_where_they_are_wanted(screen, arguments, style):
    text = screen(arguments, 120, **STYLES[style])
    has_bold = style == "styled" and arguments != ["--help"]
    assert set(re.findall(r"\x1b\[[0-9;]*.", text)) == ({"\x1b[1m", "\x1b[0m"} if has_bold else set())
