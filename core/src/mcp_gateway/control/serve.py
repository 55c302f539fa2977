"""Serving: the gateway runs for its clients."""

from __future__ import annotations

import gc
import os
import sys
from importlib.util import find_spec

from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import CHAIN_VARIABLE, ConfigError
from mcp_gateway.runtime.malloc import configure_malloc
from mcp_gateway.text.redaction import keep_memory_private


def serve(context: ControlContext) -> int:
    """Serve until the client leaves or a signal ends it."""
    keep_memory_private()
    configure_malloc()
    gc.disable()  # objects made at start-up live as long as the process
    settings, servers, warnings = context.settings, context.servers, context.warnings
    if settings.environment.shared and settings.environment.server_transport == "stdio":
        raise ConfigError(
            "environment: GATEWAY_SHARED: only the command mcp-orchestration-gateway can (mcp-gateway-cli)"
        )
    import anyio
    import structlog

    from mcp_gateway.app import serve as run
    from mcp_gateway.runtime.logging import configure_logging

    configure_logging(settings.environment)
    log = structlog.get_logger(__name__)
    for fault in context.providers.faults:
        log.warning("plugin failed to load", plugin=str(fault.origin), reason=fault.reason)
    for warning in [*settings.cautions, *warnings]:
        log.warning("configuration warning", reason=warning)
    if ignored := context.source.ignored_env_file:
        log.info("env file ignored", file=str(ignored), hint="to read it, name it in GATEWAY_ENV_FILE")

    def exit_at_once() -> None:
        log.warning("closing overdue", hint="the process ends without it")
        # Servers end with the process, however it ends.
        os._exit(1)

    # Whatever it starts inherits who stands in front of it.
    os.environ[CHAIN_VARIABLE] = str(context.position.chain)
    backend = {"use_uvloop": _is_uvloop_usable()}
    given = settings, servers, context.reload_servers, exit_at_once, context.position
    anyio.run(run, *given, backend_options=backend)
    return 0


def _is_uvloop_usable() -> bool:
    """Whether uvloop is installed and all standard streams are open.

    uvloop aborts the process if a standard stream is closed.
    """
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return find_spec("uvloop") is not None and all(stream is not None for stream in streams)
