"""`completion`: print what a shell evaluates to complete command lines."""

from __future__ import annotations

from argparse import Namespace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show_text
from mcp_gateway_cli.completion.shells import write_shell_code


def run(_context: ControlContext, arguments: Namespace) -> int:
    """Print the code for a shell."""
    show_text(write_shell_code(arguments.shell))
    return 0
