"""Tables, progress and completion: on a terminal, and elsewhere."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import pytest
from mcp_gateway_cli.completion import SHELLS
from mcp_gateway_cli.output import progress as module
from mcp_gateway_cli.output.progress import Progress
from mcp_gateway_cli.output.tables import show_table

ROWS = [("alpha", "ready", "all is well"), ("b", "down", "\x1b[31mred " + "long " * 30)]


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
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    show_table(("server", "state", "why"), ROWS)
    text = out.getvalue()
    assert "server" in text
    assert "\x1b[31m" not in text
    assert ("\x1b[1m" in text) is colours or not colours
    assert max(len(line) for line in text.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()) <= 40
    assert text.count("long") == 30


def test_progress_appears_late_and_only_on_a_terminal(monkeypatch):
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.0)
    shown = threading.Event()

    class Screen(Terminal):
        def write(self, text):
            if "second" in text:
                shown.set()
            return super().write(text)

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("first") as progress:
        progress.update("second \x1b[31m")
        assert shown.wait(10)
    assert "\x1b[31m" not in screen.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress("first") as progress:
        progress.update("second")
        assert progress._timer is None
    assert sys.stderr.getvalue() == ""


def test_what_looks_like_markup_is_shown_as_it_is(monkeypatch):
    monkeypatch.setattr(module, "DELAY_SECONDS", 60.0)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("first") as progress:
        progress._begin()
        progress.update("half [/bold] [link=file:///x]done[/link]")
    assert "half [/bold] [link=file:///x]done[/link]" in screen.getvalue()


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
