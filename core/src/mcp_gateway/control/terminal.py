"""Output to standard output and error, escaped for terminals.

Every command must print through these functions, so that none forgets to escape; a test checks that.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from mcp_gateway.config.forms.variables import AskFn, InputQuestion
from mcp_gateway.text.characters import escape_json, escape_line, escape_lines


def show(*lines: str, flush: bool = False) -> None:
    """Print lines; a line break inside of one is escaped.

    Otherwise foreign text could forge a line of output.
    """
    if lines:
        print("\n".join(map(escape_line, lines)), flush=flush)


def show_text(text: str) -> None:
    """Print a text with line breaks."""
    print(escape_lines(text))


def show_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON, with special characters escaped."""
    print(escape_json(json.dumps(value, ensure_ascii=False, indent=indent)))


def complain(*lines: str) -> None:
    """Print lines on standard error."""
    if lines:
        print("\n".join(map(escape_line, lines)), file=sys.stderr)


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
