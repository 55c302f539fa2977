"""The entrance of a window."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial

from mcp_gateway_cli.shared.errors import WindowError

_ON = ("1", "true", "t", "yes", "y", "on")
_STDIO = ("", "stdio")


def is_window(words: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether a command line is clearly that of a window.

    Others may be, too: `.env` files and options are not looked at.
    """
    is_shared = environ.get("GATEWAY_SHARED", "").strip().lower() in _ON
    is_stdio = environ.get("GATEWAY_TRANSPORT", "").strip().lower() in _STDIO
    return is_shared and is_stdio and list(words) in ([], ["serve"])


def run_window(environ: Mapping[str, str]) -> int:
    """Carry the client's bytes to a shared gateway; return the exit code."""
    from mcp_gateway.text.redaction import keep_memory_private
    from mcp_gateway_cli.shared.gateway import connect_gateway
    from mcp_gateway_cli.shared.places import find_places
    from mcp_gateway_cli.shared.window import Window, read_grace

    keep_memory_private()
    try:
        if sys.stdin is None or sys.stdout is None:
            raise WindowError("standard input or output is closed: let an MCP client start the gateway")  # noqa: TRY301
        return Window(partial(connect_gateway, find_places(environ), environ), read_grace(environ)).run()
    except WindowError as error:
        from mcp_gateway.control.report import complain_error

        complain_error(str(error))
        return 1
