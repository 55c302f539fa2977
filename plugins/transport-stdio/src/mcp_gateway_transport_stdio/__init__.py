"""Stdio transports, towards servers and towards the gateway's client.

Servers are child processes; the client is the process that started the gateway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from mcp_gateway.plugin import ClientTransport, Diagnosis, Provider, ServeOptions, ServerTransport, hookimpl
from mcp_gateway_transport_stdio.child.command import find_obstacle
from mcp_gateway_transport_stdio.options import StdioOptions
from mcp_gateway_transport_stdio.shared.options import SharedOptions

if TYPE_CHECKING:
    from mcp_gateway_transport_stdio.child.supervised_process import Supervisor

GATEWAY_API = 1


def open_client_transport(
    supervisors: list[Supervisor], options: StdioOptions
) -> AbstractAsyncContextManager[ClientTransport]:
    """Open the transport to a server that runs as a child process.

    All of a gateway's share the one supervisor in `supervisors`, where the first puts it.
    """
    from mcp_gateway_transport_stdio.child.supervised_process import Supervisor  # slow to import, as is the MCP SDK
    from mcp_gateway_transport_stdio.client_transport import stdio_client_transport

    if not supervisors:
        supervisors.append(Supervisor())
    return stdio_client_transport(options, supervisors[0])


async def diagnose_command(options: StdioOptions) -> Sequence[Diagnosis]:
    """Look for the reasons why a command cannot be started."""
    import anyio.to_thread

    from mcp_gateway_transport_stdio.child.diagnosis import find_diagnoses

    # In a thread, because a login shell may be asked.
    return await anyio.to_thread.run_sync(find_diagnoses, options, abandon_on_cancel=True)


def open_server_transport(options: ServeOptions) -> AbstractAsyncContextManager[ServerTransport]:
    """Open the transport for the process that started the gateway."""
    from mcp_gateway_transport_stdio.server_transport import stdio_server_transport

    return stdio_server_transport(options)


def open_shared_server_transport(options: SharedOptions) -> AbstractAsyncContextManager[ServerTransport]:
    """Open the transport for the windows of one user."""
    from mcp_gateway_transport_stdio.shared.transport import open_shared_transport

    return open_shared_transport(options)


@hookimpl
def mcp_gateway_client_transports() -> Iterator[Provider[StdioOptions, ClientTransport]]:
    """Yield `stdio` for servers."""
    yield Provider(
        name="stdio",
        summary="start a child process",
        options=StdioOptions,
        build=partial(open_client_transport, []),
        preflight=find_obstacle,
        diagnose=diagnose_command,
    )


@hookimpl
def mcp_gateway_server_transports() -> Iterator[Provider[Any, ServerTransport]]:
    """Yield `stdio` and `shared` for clients."""
    yield Provider(name="stdio", summary="serve one client", options=ServeOptions, build=open_server_transport)
    yield Provider(
        name="shared",
        summary="serve the windows of one user, which start it (GATEWAY_SHARED)",
        options=SharedOptions,
        build=open_shared_server_transport,
    )
