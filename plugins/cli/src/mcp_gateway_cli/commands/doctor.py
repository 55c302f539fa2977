"""`doctor`: find what is wrong here, with the mend of each."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import describe_findings
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.plugin import ConfigError
from mcp_gateway_cli.doctor.examination import examine
from mcp_gateway_cli.doctor.finding import EXIT_CODES, Finding, Severity, apply_fixes, find_worst
from mcp_gateway_cli.output.progress import Progress


def run(context: ControlContext, arguments: Namespace) -> int:
    """Print the findings; return 0, 10 for warnings or 11 for errors."""
    with suppress(ConfigError):  # it is found again below; before, since a person may be asked for inputs
        context.servers  # noqa: B018
    with Progress("looking at configuration, servers and machine") as progress:
        found = examine(context, arguments.seconds, progress.update)
    if arguments.fix:
        found = apply_fixes(found)
    worst = find_worst(found)
    if arguments.json:
        findings = [finding.as_json for finding in found]
        wrong = [finding for finding in found if finding.severity is not Severity.OK]
        failure = describe_findings(wrong, "errors and warnings")
        show_json({"ok": worst is Severity.OK, "worst": worst.value, "findings": findings, **failure})
    else:
        _print(found)
    return EXIT_CODES[worst]


def _print(found: Sequence[Finding]) -> None:
    for finding in found:
        show(f"{finding.heading}: {finding.subject}: {finding.message} [{finding.code}]")
        show(*(f"  {line}" for line in _describe_mend(finding)))
    _summarize(found)


def _describe_mend(finding: Finding) -> list[str]:
    if finding.fixed:
        return [f"done: {finding.fixed}"]
    by_itself = " (--fix does it)" if finding.fix is not None else ""
    return [*finding.picture, *([f"fix: {finding.mend}{by_itself}"] if finding.mend else [])]


def _summarize(found: Sequence[Finding]) -> None:
    errors, warnings = (sum(each.severity is kind for each in found) for kind in (Severity.ERROR, Severity.WARNING))
    if errors or warnings:
        show("", f"{_count(errors, 'error')}, {_count(warnings, 'warning')}")
    else:
        show("", "all is well")


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
