"""`serve`: serve clients."""

from __future__ import annotations

from argparse import Namespace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.serve import serve


def run(context: ControlContext, _arguments: Namespace) -> int:
    """Serve until the client leaves or a signal ends it."""
    return serve(context)
