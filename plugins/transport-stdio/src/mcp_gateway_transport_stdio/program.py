"""What is started for a server: which program, in which directory, and what it sees of the gateway's environment."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from mcp_gateway.plugin import ServerUnavailable
from mcp_gateway_transport_stdio.options import StdioOptions

_HARMLESS = (
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
)
"""What a child gets of the gateway's environment beside the SDK's own list (PATH, HOME and the like)."""


def environment_of(options: StdioOptions) -> dict[str, str]:
    """Return the child's environment."""
    from mcp.client.stdio import get_default_environment  # the MCP SDK is slow to import

    harmless = {name: os.environ[name] for name in _HARMLESS if name in os.environ}
    return {**get_default_environment(), **harmless, **options.env}


def command_of(options: StdioOptions) -> str:
    """Find the program on the child's PATH, or beside the Python that runs the gateway.

    The second makes servers work that were installed into the gateway's own
    virtual environment, which a desktop client does not activate.

    Raises:
        ServerUnavailable: it is not there.

    """
    program, path = options.program, options.env.get("PATH", os.environ.get("PATH"))
    beside = str(Path(sys.executable).parent)
    found = shutil.which(program, path=path) or shutil.which(program, path=beside)
    if found is None:
        advice = "put what comes after its name into args, or" if " " in program else "install it, or"
        raise ServerUnavailable(
            f"its command {program!r} is not found; {advice} write its full path into the configuration", lasting=True
        )
    return found


def directory_of(options: StdioOptions) -> Path | None:
    """Return where to start it.

    Raises:
        ServerUnavailable: it is no directory.

    """
    if options.cwd is not None and not options.cwd.is_dir():
        raise ServerUnavailable("its cwd is not a directory", lasting=True)
    return options.cwd


def obstacle(options: StdioOptions) -> str | None:
    """Say why it cannot be started here, as far as that can be told without starting it."""
    try:
        command_of(options)
        directory_of(options)
    except ServerUnavailable as error:
        return str(error)
    return None
