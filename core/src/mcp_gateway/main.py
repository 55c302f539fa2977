"""`python -m mcp_gateway.main`: serve, as the environment says.

With arguments it hands over to the command line, a distribution of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import complain_error, prepare_streams, run_and_report

COMMAND_LINE = "mcp_gateway_command_line"
"""The entry-point group of the command line: one function, from arguments to exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; return the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if not arguments:
        prepare_streams()
        return run_and_report(_serve)
    for found in entry_points(group=COMMAND_LINE):
        code: int = found.load()(arguments)
        return code
    prepare_streams()
    complain_error("without the distribution mcp-gateway-cli it takes no arguments; variables of the environment do")
    return 2


def _serve() -> int:
    from mcp_gateway.control.serve import serve
    from mcp_gateway.runtime.lazy_imports import defer_sdk_imports

    defer_sdk_imports()
    return serve(ControlContext(is_serving=True))


if __name__ == "__main__":
    sys.exit(main())
