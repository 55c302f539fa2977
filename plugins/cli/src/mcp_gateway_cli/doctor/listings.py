"""Findings on what a server lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcp_gateway.control.trials import Trial
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.doctor.finding import Finding, remark, split_mend, warn

_MAX_SHOWN = 3


def describe_listing(trial: Trial) -> Iterator[Finding]:
    """Yield the findings on the lists of a server that works."""
    server = trial.server
    yield remark("server-well", server, trial.line.removeprefix(f"{server}: "))
    yield from _describe_lines("name-clash", server, trial.refused)
    yield from _describe_lines("schema-refused", server, trial.left_out, "tell its author; the rest of it works")
    yield from _describe_lines("pattern-idle", server, trial.idle_globs, 'correct "tools" in its entry')
    yield from _describe_lines("list-incomplete", server, trial.missing, "tell its author; the rest of it works")
    if trial.suspicious:
        parts = [f"{part} ({', '.join(rules)})" for part, rules in trial.suspicious.items()]
        words = f"its texts look like instructions to the model: {_join(parts)}"
        yield warn("text-suspicious", server, words, f"read them: {NAME} tools --server {server}")
    if trial.shortened:
        yield remark(
            "name-cut",
            server,
            f"{len(trial.shortened)} of its names are too long or have characters that clients refuse, and are cut: "
            f"{_join(trial.shortened)}",
            'a shorter "namespace" in its entry leaves more of them',
        )


def _describe_lines(code: str, server: str, lines: Iterable[str], mend: str = "") -> Iterator[Finding]:
    for line in lines:
        message, advice = split_mend(line.removeprefix(f"server {server!r}: "))
        yield warn(code, server, message, advice or mend)


def _join(names: Iterable[str]) -> str:
    every = list(names)
    rest = f" and {len(every) - _MAX_SHOWN} more" if len(every) > _MAX_SHOWN else ""
    return ", ".join(every[:_MAX_SHOWN]) + rest
