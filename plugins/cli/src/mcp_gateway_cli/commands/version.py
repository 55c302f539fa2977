"""`version`: print which release this is."""

from __future__ import annotations

import platform
from argparse import Namespace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.protocol.implementation import NAME, VERSION


def run(_context: ControlContext, arguments: Namespace) -> int:
    """Print the version, as `--version` does."""
    if arguments.json:
        show_json({"name": NAME, "version": VERSION, "python": platform.python_version()})
    else:
        show(f"{NAME} {VERSION}")
    return 0
