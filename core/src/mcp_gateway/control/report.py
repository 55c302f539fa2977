"""Reports of errors: a line on standard error, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from mcp_gateway.config.syntax.picture import split_lines, split_problems
from mcp_gateway.control.terminal import complain, complain_text, flush_output
from mcp_gateway.plugin import GatewayError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.text.redaction import mask_secrets

USAGE = 2
"""The exit code of a wrong command line."""


class UsageError(Exception):
    """A wrong command line: what is wrong, and what to do."""


def run_and_report(work: Callable[[], int]) -> int:
    """Run `work`; return its exit code, or that of its error."""
    try:
        return _run_and_flush(work)
    except GatewayError as error:
        complain(*(line for problem in split_problems(str(error)) for line in split_lines(f"{NAME}: {problem}")))
        return 1
    except UsageError as error:
        complain(str(error))
        return USAGE
    except BrokenPipeError:  # the reader of the output has ended: `... tools | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001  # a traceback may quote text of servers and plugins
        complain_text(mask_secrets(traceback.format_exc()))
        return 1


def _run_and_flush(work: Callable[[], int]) -> int:
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
