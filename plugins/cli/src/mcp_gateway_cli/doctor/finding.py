"""Findings: a code, what is the matter, and its mend."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mcp_gateway.plugin import GatewayError


class Severity(StrEnum):
    """How bad a finding is; `ok` is a remark."""

    ERROR = "error"
    WARNING = "warning"
    OK = "ok"


EXIT_CODES = {Severity.OK: 0, Severity.WARNING: 10, Severity.ERROR: 11}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    * `code`: its stable name.
    * `subject`: the server, file, plugin or setting that it is about.
    * `message`: one sentence; `mend`: what to do.
    * `picture`: the lines that show the place in a file.
    * `fix`: does that, where it is safe, and returns what it did.
    * `fixed`: what was done.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    mend: str = ""
    picture: tuple[str, ...] = ()
    fix: Callable[[], str] | None = None
    fixed: str = ""

    @property
    def heading(self) -> str:
        """The first word for people: what it is, or that it was."""
        return "fixed" if self.fixed else self.severity.value

    @property
    def as_json(self) -> dict[str, Any]:
        """The finding for programs."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "subject": self.subject,
            "message": self.message,
            "mend": self.mend,
            "picture": list(self.picture),
            "fixable": self.fix is not None,
            "fixed": self.fixed,
        }


def warn(code: str, subject: str, message: str, mend: str = "") -> Finding:
    """Return a warning."""
    return Finding(code=code, severity=Severity.WARNING, subject=subject, message=message, mend=mend)


def report_error(code: str, subject: str, message: str, mend: str = "") -> Finding:
    """Return an error."""
    return Finding(code=code, severity=Severity.ERROR, subject=subject, message=message, mend=mend)


def remark(code: str, subject: str, message: str, mend: str = "") -> Finding:
    """Return a remark, which is nothing bad."""
    return Finding(code=code, severity=Severity.OK, subject=subject, message=message, mend=mend)


def split_mend(text: str) -> tuple[str, str]:
    """Split an error's text into the matter and its mend."""
    message, _, mend = text.partition("; ")
    return message, mend


def apply_fixes(findings: Iterable[Finding]) -> list[Finding]:
    """Apply the fixes; what is mended becomes a remark."""
    return [finding if finding.fix is None else _apply(finding, finding.fix) for finding in findings]


def _apply(finding: Finding, fix: Callable[[], str]) -> Finding:
    try:
        done = fix()
    except (OSError, GatewayError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return replace(finding, fix=None, message=f"{finding.message} (it could not be fixed: {reason})")
    return replace(finding, severity=Severity.OK, fix=None, fixed=done)


def find_worst(findings: Iterable[Finding]) -> Severity:
    """Return the worst severity."""
    return max((finding.severity for finding in findings), key=lambda each: EXIT_CODES[each], default=Severity.OK)
