"""Output to standard output and error, escaped for terminals.

Every command must print through these functions, so that none forgets to escape; a test checks that.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

from mcp_gateway.config.forms.variables import AskFn, InputQuestion
from mcp_gateway.config.syntax.picture import is_picture_line
from mcp_gateway.control.program import name_program
from mcp_gateway.plugin import GatewayError
from mcp_gateway.plugin.utilities.atomic_files import describe_write_error
from mcp_gateway.text.characters import escape_json, escape_line, escape_lines
from mcp_gateway.text.hints import rephrase_for_people
from mcp_gateway.text.wrapping import cut_to_width, wrap_line, wrap_text

_COLUMNS, _LEAST_COLUMNS = 80, 20
"""How wide a terminal is that does not say it, and at least."""


class OutputError(GatewayError):
    """An output that cannot be written: a full disk."""

    code = "output_failed"


def phrase(text: str) -> str:
    """Return what a message says in the words of people.

    Hints name commands instead of tools, and the program is called as it was typed.
    """
    return name_program(rephrase_for_people(text))


def find_width(stream: TextIO | None) -> int | None:
    """Return the columns of a terminal; None if a stream is none."""
    if stream is None or not stream.isatty():
        return None
    with suppress(ValueError):  # it is not set, or no number
        if (columns := int(os.environ.get("COLUMNS", ""))) > 0:
            return max(columns, _LEAST_COLUMNS)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns or _COLUMNS, _LEAST_COLUMNS)
    except (OSError, ValueError):  # it does not say
        return _COLUMNS


def is_at_terminal() -> bool:
    """Whether a person types what is read from standard input."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def show(*lines: str, flush: bool = False, wraps: bool = True) -> None:
    """Print lines in the words of people; breaks inside are escaped.

    Otherwise foreign text could forge a line of output. Lines that do not fit the terminal are broken between words, or
    else by the terminal itself, so that what is copied is what was printed.
    """
    if lines:
        _write_output("\n".join(_phrase_lines(lines, find_width(sys.stdout) if wraps else None)), flush=flush)


def show_styled(text: str) -> None:
    """Print a text that has only control sequences of our own."""
    _write_output(text)


def _phrase_lines(lines: Iterable[str], width: int | None) -> Iterable[str]:
    for line in lines:
        text = escape_line(phrase(line))
        if width is None:
            yield text
        elif is_picture_line(text):
            yield cut_to_width(text, width)
        else:
            yield from wrap_line(text, width)


def show_text(text: str, *, wraps: bool = False) -> None:
    """Print a text with line breaks, as it is unless it `wraps`."""
    lines = escape_lines(text)
    if wraps and (width := find_width(sys.stdout)) is not None:
        lines = "\n".join(part for line in lines.split("\n") for part in wrap_text(line, width))
    _write_output(lines)


def show_json(value: Any, indent: int | None = None, *, flush: bool = False) -> None:
    """Print a value as JSON, with special characters escaped."""
    _write_output(escape_json(json.dumps(value, ensure_ascii=False, indent=indent)), flush=flush)


def flush_output() -> None:
    """Write what is still buffered.

    Raises:
        OutputError: it cannot be written.

    """
    if sys.stdout is not None and not sys.stdout.closed:
        _write_output("", end="", flush=True)


def _write_output(text: str, *, end: str = "\n", flush: bool = False) -> None:
    try:
        print(text, end=end, flush=flush)
    except BrokenPipeError:  # its reader has ended
        raise
    except OSError as error:
        discard_output(sys.stdout)
        raise OutputError(f"standard output cannot be written: {describe_write_error(error)}") from None


def discard_output(stream: TextIO | None) -> None:
    """Throw away what a stream still holds, and what comes.

    Else it would fail once more when the interpreter ends.
    """
    if stream is not None:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(*lines: str) -> None:
    """Print lines on standard error, in the words of people."""
    if lines:
        print("\n".join(_phrase_lines(lines, find_width(sys.stderr))), file=sys.stderr)


def complain_text(text: str) -> None:
    """Print a text with line breaks on standard error."""
    print(escape_lines(text), file=sys.stderr)


def show_prompt(text: str) -> None:
    """Print a question on standard error, and stay behind it."""
    print(escape_line(text), end="", file=sys.stderr, flush=True)


def find_asker() -> AskFn | None:
    """Return the function that asks the person at the terminal.

    None if there is none: input or output leads elsewhere.
    """
    both = (sys.stdin, sys.stderr)
    return _ask if all(stream is not None and stream.isatty() for stream in both) else None


def prompt(question: str, seconds: float | None = None) -> str | None:
    """Ask the person at the terminal; None at the input's end.

    Raises:
        TimeoutError: no line was typed within so many seconds.

    """
    print(escape_line(question), end="", file=sys.stderr, flush=True)
    if seconds is not None and not _wait_for_line(seconds):
        raise TimeoutError
    return line.rstrip("\r\n") if (line := sys.stdin.readline()) else None


def _wait_for_line(seconds: float) -> bool:
    """Whether a line comes; a console of Windows does not tell."""
    try:
        return bool(select.select([sys.stdin], [], [], seconds)[0])
    except (OSError, ValueError):
        return True


def _ask(question: InputQuestion) -> str | None:
    """Ask for an input on the terminal; return None without an answer."""
    words = escape_line(question.description or question.name)
    if question.options:
        words += f" ({', '.join(map(escape_line, question.options))})"
    if question.default is not None and not question.is_secret:
        words += f" [{escape_line(question.default)}]"
    try:
        if question.is_secret:
            import getpass

            return getpass.getpass(f"{words}: ", stream=sys.stderr) or None
        print(f"{words}: ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().rstrip("\r\n") or None
    except EOFError:
        return None
