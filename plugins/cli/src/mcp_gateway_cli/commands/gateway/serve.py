"""`serve`: serve clients."""

from __future__ import annotations

import os
from argparse import Namespace
from contextlib import suppress

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.serve import serve
from mcp_gateway.plugin import ConfigError
from mcp_gateway_cli.shared.entry import run_window

_TAKEN = {"gateway-runs", "port-taken"}


def run(context: ControlContext, _arguments: Namespace) -> int:
    """Serve until the client leaves or a signal ends it."""
    environment = context.environment
    if environment.shared and environment.server_transport == "stdio":
        return run_window({**os.environ, **context.overrides})
    try:
        return serve(context)
    except ConfigError as error:
        error.args = (f"{error}{_describe_owner(context, str(error))}",)
        raise


def _describe_owner(context: ControlContext, error: str) -> str:
    """Describe who listens at the address that an error names."""
    from mcp_gateway_cli.doctor.ports import find_address_faults  # slow to import, and seldom needed

    with suppress(ConfigError):  # it is of something else, and the address was not read yet
        found = (each for each in find_address_faults(context) if each.code in _TAKEN and each.subject in error)
        return "".join(f" ({each.message})" for each in found)
    return ""
