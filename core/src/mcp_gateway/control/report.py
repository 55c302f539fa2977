"""Reports of errors: a line on standard error, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sized
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from mcp_gateway.config.sources import name_denied_file
from mcp_gateway.config.syntax.picture import split_lines, split_problems
from mcp_gateway.control.terminal import (
    OutputError,
    complain,
    complain_text,
    discard_output,
    flush_output,
    phrase,
    show_json,
)
from mcp_gateway.plugin import GatewayError, UsageError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.text.redaction import mask_secrets

USAGE = 2
"""The exit code of a wrong command line."""

READER_GONE = 128 + 13
"""The exit code of a command that nobody reads any more, `... | head`: what shells say of those that SIGPIPE ends."""


class NothingRuns(GatewayError):
    """No gateway runs that could be asked, or several do."""

    code = "no_gateway"


def describe_failure(code: str, error: str) -> dict[str, object]:
    """Return what JSON says of a failure, in the words of people."""
    return {"success": False, "error_code": code, "error": phrase(error)}


def describe_findings(problems: Sized, what: str) -> dict[str, object]:
    """Return what JSON says of found problems.

    It is nothing without any: whoever reads it then finds no `error_code`.
    """
    return describe_failure("problems_found", f"{what}: {len(problems)}") if problems else {}


def complain_error(*errors: str) -> None:
    """Print what is wrong on standard error, behind the program's name."""
    problems = (problem for error in errors for problem in split_problems(error))
    complain(*(line for problem in problems for line in split_lines(f"{NAME}: {problem}")))


def run_and_report(work: Callable[[], int], *, as_json: bool = False) -> int:
    """Run `work`; return its exit code, or that of its error.

    An error is told once: on standard error, or with `as_json` as an object on standard output.
    """
    try:
        return _run_and_tell(work, as_json=as_json)
    except BrokenPipeError:
        discard_output(sys.stdout)
        discard_output(sys.stderr)
        return READER_GONE


def _run_and_tell(work: Callable[[], int], *, as_json: bool) -> int:
    try:
        return _run_and_flush(work)
    except (GatewayError, UsageError) as error:
        is_told = (
            as_json and not isinstance(error, OutputError) and _show_failure(describe_failure(error.code, str(error)))
        )
        if not is_told:
            complain_error(str(error))
        return USAGE if isinstance(error, UsageError) else 1
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  # a traceback may quote text of servers and plugins
        failure = describe_failure("internal_error", mask_secrets(f"{type(error).__name__}: {error}"))
        trace = mask_secrets(traceback.format_exc())
        if not (as_json and _show_failure({**failure, "traceback": trace})):
            complain_text(trace)
        return 1


def _show_failure(failure: Mapping[str, object]) -> bool:
    """Print a failure as JSON; return False if it cannot be."""
    try:
        show_json(failure, flush=True)
    except (OSError, OutputError):  # nobody reads it, or the disk is full
        return False
    return True


def _run_and_flush(work: Callable[[], int]) -> int:
    with name_denied_file():
        code = work()
    flush_output()
    return code


def prepare_streams() -> None:
    """Make standard output and error usable, whatever the parent left."""
    if sys.stderr is None:  # the parent process has closed it
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # it stays open to the end
    _accept_all_characters(sys.stdout)


def _accept_all_characters(output: TextIO | None) -> None:
    """Make output accept every character that servers send.

    UTF-8 where the output is no terminal; characters that a terminal cannot encode are escaped.
    """
    if isinstance(output, TextIOWrapper):
        output.reconfigure(encoding=None if output.isatty() else "utf-8", errors="backslashreplace")
