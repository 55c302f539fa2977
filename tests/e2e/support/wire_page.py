"""Writes the table in core/docs/wire.md from the wire cases: python -m tests.e2e.support.wire_page."""

from __future__ import annotations

from pathlib import Path

from ..wire_cases import ALL, CASES, ELSEWHERE, REQUESTS, Case, Error, Request

PAGE = Path(__file__).parents[3] / "core" / "docs" / "wire.md"
HEADING = "| a server writes | over | a client gets | the SDK's client alone |\n| --- | --- | --- | --- |\n"
_OVER = {"stdio": "stdio", "json": "JSON", "sse": "SSE"}
_SEEN = {"same": "the answer", "else": "something else", "error": "an error", "waits": "nothing, and waits"}


REQUESTS_HEADING = """
## What clients write

In the arguments of a call, over stdio and HTTP, by clients of both eras, to servers of both.

| a client writes | a server gets |
| --- | --- |
"""
ELSEWHERE_HEADING = """
## What is no single answer

These cases have tests of their own.

| what happens | tests |
| --- | --- |
"""


def tables() -> str:
    """Return all tables."""
    answers, requests = "".join(map(_row, CASES)), "".join(map(_request, REQUESTS))
    held = "".join(
        f"| {what} | {', '.join(f'`{file}::{test}`' for file, test in tests)} |\n" for what, tests in ELSEWHERE.items()
    )
    return f"{HEADING}{answers}{REQUESTS_HEADING}{requests}{ELSEWHERE_HEADING}{held}"


def page(text: str) -> str:
    """Return the page with the tables as they should be."""
    return text.split(HEADING, maxsplit=1)[0] + tables()


def _request(case: Request) -> str:
    why = f" ({case.decision})" if case.decision else ""
    gets = "nothing: the client gets an error, -32700" if case.is_refused else "the same bytes"
    return f"| {case.name} | {'U+FFFD in its place' if case.arrives else gets}{why} |\n"


def _row(case: Case) -> str:
    over = "HTTP" if case.http else "all" if case.wires == ALL else ", ".join(_OVER[wire] for wire in case.wires)
    why = f" ({case.decision})" if case.decision else ""
    return f"| {case.name} | {over} | {_outcome(case)}{why} | {_seen(case)} |\n"


def _outcome(case: Case) -> str:
    if case.libraries:
        return "the answer, where a library for it is installed; else an error that names the server and the coding"
    if isinstance(case.outcome, str):
        return "U+FFFD in its place" if "ufffd" in ascii(case.outcome) else "the answer"
    if isinstance(case.outcome, Error):
        return f"the server's error, {case.outcome.code}"
    return f"an error that names the server: {case.outcome.words or 'why'}"


def _seen(case: Case) -> str:
    if case.libraries:
        return "the answer, where a library for it is installed; else an error"
    seen = {wire: _SEEN[case.sdk_sees(wire)] for wire in case.wires}
    if len(set(seen.values())) == 1:
        return next(iter(seen.values()))
    return "; ".join(f"{_OVER[wire]}: {what}" for wire, what in seen.items())


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
