"""`serve`: run the gateway for its clients."""

from __future__ import annotations

from mcp_gateway.cli.reading import Reading


def serve(reading: Reading) -> int:
    """Serve until the client leaves or a signal ends it."""
    settings, servers, warnings = reading.settings, reading.servers, reading.warnings
    import anyio
    import structlog

    from mcp_gateway.app import serve as run
    from mcp_gateway.logs import configure_logging

    configure_logging(settings.environment)
    log = structlog.get_logger(__name__)
    for fault in reading.providers.faults:
        log.warning("plugin does not work", plugin=str(fault.origin), reason=fault.reason)
    for warning in warnings:
        log.warning(warning)
    anyio.run(run, settings, servers)
    return 0
