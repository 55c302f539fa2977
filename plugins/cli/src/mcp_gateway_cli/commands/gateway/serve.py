"""`serve`: serve clients."""

from __future__ import annotations

import os
from argparse import Namespace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.serve import serve
from mcp_gateway_cli.shared.entry import run_window


def run(context: ControlContext, _arguments: Namespace) -> int:
    """Serve until the client leaves or a signal ends it."""
    environment = context.environment
    if environment.shared and environment.server_transport == "stdio":
        return run_window({**os.environ, **context.overrides})
    return serve(context)
