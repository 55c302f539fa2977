"""`check`: say whether the configuration is right."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from mcp_gateway.config.syntax.picture import split_lines
from mcp_gateway.control.check import Findings, find_problems
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show, show_json


def run(context: ControlContext, arguments: Namespace) -> int:
    """Print the problems; return 0 if there are none."""
    found = find_problems(context, connect=arguments.connect)
    if arguments.json:
        report = {"ok": not found.problems, **asdict(found)}
        show_json(report if arguments.connect else {key: report[key] for key in report if key != "trials"})
    else:
        _print(found)
    return 1 if found.problems else 0


def _print(found: Findings) -> None:
    for trial in found.trials or ():
        show(trial.line)
    for problem in found.problems:
        show(*split_lines(f"wrong: {problem}"))
    for warning in found.warnings:
        show(f"warning: {warning}")
    if found.off:
        show(f"switched off: {', '.join(found.off)}")
    if not found.problems:
        names = found.servers
        show(f"all is well: {len(names)} server{'' if len(names) == 1 else 's'}: {', '.join(names) or 'none'}")
        if names and found.trials is None:
            show("no server was started; check --connect tries them")
