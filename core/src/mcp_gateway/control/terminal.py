"""Output to standard output and error, escaped for terminals.

Every command must print through these functions, so that none forgets to escape; a test checks that.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from mcp_gateway.config.forms.variables import AskFn, InputQuestion
from mcp_gateway.control.program import name_program
from mcp_gateway.plugin import GatewayError
from mcp_gateway.plugin.utilities.atomic_files import describe_write_error
from mcp_gateway.text.characters import escape_json, escape_line, escape_lines
from mcp_gateway.text.hints import rephrase_for_people


class OutputError(GatewayError):
    """An output that cannot be written: a full disk."""

    code = "output_failed"


def phrase(text: str) -> str:
    """Return what a message says in the words of people.

    Hints name commands instead of tools, and the program is called as it was typed.
    """
    return name_program(rephrase_for_people(text))


def show(*lines: str, flush: bool = False) -> None:
    """Print lines in the words of people; breaks inside are escaped.

    Otherwise foreign text could forge a line of output.
    """
    if lines:
        _write_output("\n".join(escape_line(phrase(line)) for line in lines), flush=flush)


def show_text(text: str) -> None:
    """Print a text with line breaks."""
    _write_output(escape_lines(text))


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
        print("\n".join(escape_line(phrase(line)) for line in lines), file=sys.stderr)


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


def prompt(question: str) -> str | None:
    """Ask the person at the terminal; None at the input's end."""
    print(escape_line(question), end="", file=sys.stderr, flush=True)
    return line.rstrip("\r\n") if (line := sys.stdin.readline()) else None


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
