"""What is printed and logged for people: shown whatever it is, and obeyed by no terminal."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import sys
import unicodedata
from pathlib import Path

import pytest
import structlog

import mcp_gateway.control
from mcp_gateway.config.settings import read_environment
from mcp_gateway.control import terminal as printing
from mcp_gateway.runtime.logging import configure_logging
from mcp_gateway.text.characters import escape_json, escape_line, escape_lines

FOLDER = Path(mcp_gateway.control.__file__).parent
MODULES = sorted(FOLDER.glob("*.py"))
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def every_dangerous_character():
    """Iterate over what a terminal obeys, and what nobody sees."""
    # Some scripts have marks of this category that show, or hold a place.
    shown = ("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN")
    for character in map(chr, range(sys.maxunicode + 1)):
        is_dangerous = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in "\t\n"
        if is_dangerous and not unicodedata.name(character, "").startswith(shown):
            yield character
    yield from "\u061c\u115f\u1160\u17b4\u180b\u3164\uffa0\U000e0100"


def test_no_dangerous_character_is_printed():
    for character in every_dangerous_character():
        for escape in (escape_line, escape_lines, escape_json):
            assert character not in escape(f"a{character}b"), ascii(character)


@pytest.mark.parametrize(
    "text, line",
    [
        ("\x1b]0;mine\x07", r"\x1b]0;mine\x07"),
        ("a\rb\nc\td", r"a\rb\nc\td"),
        ("\x7f\x9b2J", r"\x7f\x9b2J"),
        ("abc\u202efdp.exe", r"abc\u202efdp.exe"),
        ("to\u200dol", r"to\u200dol"),
        ("tool\ufe0f", r"tool\ufe0f"),
        ("\u200d\u200d", r"\u200d\u200d"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("\u2028", r"\u2028"),
    ],
)
def test_it_is_written_out(text, line):
    assert escape_line(text) == line


@pytest.mark.parametrize(
    "text", ["plain", "é ü 中文 🙂", "👩\u200d💻 ✔\ufe0f ❤\ufe0f\u200d🔥 1\ufe0f\u20e3", "خلاصه\u200cی متن", "क्\u200dष"]
)
def test_what_people_write_is_printed_as_it_is(text):
    assert escape_line(text) == escape_lines(text) == text


def test_a_text_keeps_its_lines_and_tabs_and_no_carriage_return():
    assert escape_lines("a\r\n\tb\rc\n") == "a\n\tb\\rc\n"


def test_json_is_the_same_value():
    value = {character: character for character in every_dangerous_character()}
    assert json.loads(escape_json(json.dumps(value, ensure_ascii=False))) == value


def test_printing_any_text_takes_linear_time(capsys):
    for piece in ("\u200d", "\ufe0f", "\x1b", "क्\u200d", "\ud800"):
        printing.show(piece * 200_000)
        assert len(capsys.readouterr().out) >= 200_000


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_command_prints_past_the_one_way(module):
    if module.name == "terminal.py":
        return
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        called = node.func if isinstance(node, ast.Call) else None
        assert not (isinstance(called, ast.Name) and called.id in {"print", "pprint", "input"}), ast.unparse(node)
        if isinstance(called, ast.Attribute):
            said = ast.unparse(called)
            writes = called.attr in {"write", "writelines"} and STREAMS.intersection(said.split("."))
            assert not writes, said
            assert said not in {"os.write", "traceback.print_exc", "traceback.print_exception", "pprint.pprint"}
        if isinstance(node, ast.ImportFrom) and node.module == "sys":
            assert not STREAMS.intersection(alias.name for alias in node.names)


# -- the log


EVIL = "\x1b]0;mine\x07\x9b2J\u202e\n\r\ud800"


class Odd:
    """An object that shows itself as it likes."""

    def __repr__(self):
        return EVIL


@pytest.mark.usefixtures("_log_is_ours")
@pytest.mark.parametrize("form", ["console", "json"])
def test_the_log_commands_no_terminal(monkeypatch, form):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging(read_environment({"GATEWAY_LOG_FORMAT": form, "GATEWAY_LOG_LEVEL": "debug"}))
    log = structlog.get_logger("mcp_gateway.test")
    event = f"said {EVIL}"
    log.warning(event, text=EVIL, items=[EVIL], fields={EVIL: EVIL}, odd=Odd(), raw=EVIL.encode("utf-8", "replace"))
    log.warning("keys", **{f"key{EVIL}": 1})
    try:
        int(EVIL)
    except ValueError:
        log.exception("failed")
    logging.getLogger("library").warning("it says %s", EVIL)
    stream.flush()
    shown = stream.buffer.getvalue().decode()
    plain = re.sub(r"\x1b\[\d*m", "", shown)  # the colours are ours: no text here has any
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", plain) == []
    assert shown.count("mine") >= 8
    assert len(plain.splitlines()) == (4 if form == "json" else len(plain.split("\n")) - 1)
