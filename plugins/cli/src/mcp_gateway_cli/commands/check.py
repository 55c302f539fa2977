"""`check`: say whether the configuration is right."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from mcp_gateway.config.syntax.picture import split_lines
from mcp_gateway.control.check import Findings, find_problems
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import describe_findings
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.text.hints import NO_SERVERS
from mcp_gateway_cli.output.progress import Progress

if TYPE_CHECKING:
    from mcp_gateway.control.trials import Trial


def run(context: ControlContext, arguments: Namespace) -> int:
    """Print the problems; return 0 if there are none."""
    found = _find(context, connect=arguments.connect)
    if arguments.json:
        report = {
            "ok": not found.problems,
            **asdict(found),
            **describe_findings(found.problems, "problems of the configuration"),
        }
        show_json(report if arguments.connect else {key: report[key] for key in report if key != "trials"})
    else:
        _print(found)
    return 1 if found.problems else 0


def _find(context: ControlContext, *, connect: bool) -> Findings:
    tried: list[str] = []
    with Progress("checking the configuration") as progress:

        def on_tried(trial: Trial) -> None:
            tried.append(trial.server)
            progress.update(f"tried {len(tried)} of {len(context.servers.specs)} servers; last: {trial.server}")

        return find_problems(context, connect=connect, on_tried=on_tried)


def _print(found: Findings) -> None:
    for trial in found.trials or ():
        show(trial.line)
    for problem in found.problems:
        show(*split_lines(f"wrong: {problem}"))
    for warning in found.warnings:
        show(f"warning: {warning}")
    if found.off:
        show(f"switched off: {', '.join(found.off)}")
    if found.trials:
        show(f"{sum(trial.ok for trial in found.trials)} of {len(found.trials)} servers work")
    if not found.problems:
        names = found.servers
        if not names and not found.off:
            show(NO_SERVERS)
            return
        show(f"all is well: {len(names)} server{'' if len(names) == 1 else 's'}: {', '.join(names) or 'none'}")
        if names and found.trials is None:
            show("no server was started; check --connect tries them")
