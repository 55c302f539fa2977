"""Tables, progress and completion: on a terminal, and elsewhere."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading

import pytest
from mcp_gateway_cli.completion.shells import SHELLS
from mcp_gateway_cli.output import progress as module
from mcp_gateway_cli.output.progress import Progress
from mcp_gateway_cli.output.tables import show_table

ROWS = [("alpha", "ready", "all is well"), ("b", "down", "\x1b[31mred " + "long " * 30)]


ERASED = "\x1b[?25h\r\x1b[1A\x1b[2K"
"""The cursor shown again, and the line removed."""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_piped_table_is_plain_text(capsys):
    show_table(("server", "state", "why"), ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "alpha  ready  all is well"
    assert lines[1].startswith("b      down   \\x1b[31mred long")
    assert len(lines) == 2


@pytest.mark.parametrize("colours", [True, False])
def test_a_table_fits_the_terminal_and_obeys_nobody(monkeypatch, colours):
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    show_table(("server", "state", "why"), ROWS)
    text = out.getvalue()
    assert ("\x1b[1mserver" in text) is colours
    assert "\x1b[31m" not in text
    plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert plain[0].split() == ["server", "state", "why"]
    assert max(map(len, plain)) <= 60
    assert text.count("long") == 30


class Screen(Terminal):
    """A terminal that tells when a word comes."""

    def __init__(self, word):
        super().__init__()
        self.word, self.shown = word, threading.Event()

    def write(self, text):
        written = super().write(text)
        if self.word in text:
            self.shown.set()
        return written


@pytest.fixture
def quick(monkeypatch):
    """Show progress at once, and again at once."""
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.0)
    monkeypatch.setattr(module, "PLAIN_SECONDS", 0.0)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def watch(monkeypatch, quick):
    """Return what a terminal gets of two texts, each awaited."""

    def show(first, second):
        screen = Screen(first.split()[0])
        monkeypatch.setattr(sys, "stderr", screen)
        with Progress(first) as progress:
            assert screen.shown.wait(10)
            screen.word = second.split(",")[0]
            screen.shown.clear()
            progress.update(second)
            assert screen.shown.wait(10)
        return screen.getvalue()

    return show


def test_progress_is_one_line_that_disappears(watch):
    text = watch("first \x1b[31m", "second, and longer than a line of this terminal")
    assert "first \\x1b[31m" in text
    assert text.endswith(ERASED)
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)
    assert all(len(part) <= 40 for part in re.split(r"[\r\n]", plain))


@pytest.mark.parametrize("variable, value", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_progress_is_plain_lines_where_no_control_sequences_are_wanted(watch, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert watch("first", "second") == "first\nsecond\n"


def test_progress_makes_room_for_a_question(monkeypatch, quick):
    screen = Screen("first")
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress("first") as progress:
        assert screen.shown.wait(10)
        with progress.pause():
            assert screen.getvalue().endswith(ERASED)
            screen.write("a question? ")
            screen.shown.clear()
        assert screen.shown.wait(10)
    before, after = screen.getvalue().split("a question? ")
    assert ("first" in before, "first" in after) == (True, True)


def test_piped_there_is_no_progress(monkeypatch, quick):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress("first") as progress:
        assert progress._thread is None
    assert sys.stderr.getvalue() == ""


def test_what_is_quick_shows_no_progress(monkeypatch):
    monkeypatch.setattr(module, "DELAY_SECONDS", 60.0)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress("first"):
        pass
    assert screen.getvalue() == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_gets_code_that_names_both_programs(run, shell):
    code, out, _ = run("completion", shell)
    assert code == 0
    assert "mcp-orchestration-gateway" in out
    assert "mcp-gateway" in out


@pytest.mark.parametrize(
    "line, expected",
    [("mcp-gateway to", {"tools"}), ("mcp-gateway tools --", {"--config", "--json", "--server", "--help"})],
)
def test_a_line_is_completed(line, expected, tmp_path):
    answer = tmp_path / "answer"
    environ = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    command = "import sys; from mcp_gateway_cli.main import main; sys.exit(main([]))"
    subprocess.run([sys.executable, "-c", command], env=environ, check=True, timeout=60)
    assert {word.strip() for word in answer.read_text().split("\n") if word.strip()} == expected
