"""Writes the table in core/docs/wire.md from the wire cases: python -m tests.e2e.support.wire_page."""

from __future__ import annotations

from pathlib import Path

from ..wire_cases import ALL, CASES, Case, Error

PAGE = Path(__file__).parents[3] / "core" / "docs" / "wire.md"
HEADING = "| a server writes | over | a client gets | the SDK's client alone |\n| --- | --- | --- | --- |\n"
_OVER = {"stdio": "stdio", "json": "JSON", "sse": "SSE"}
_SEEN = {"same": "the answer", "else": "something else", "error": "an error", "waits": "nothing, and waits"}


def table() -> str:
    """Return the table."""
    return HEADING + "".join(map(_row, CASES))


def page(text: str) -> str:
    """Return the page with the table as it should be."""
    return text.split(HEADING, maxsplit=1)[0] + table()


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
