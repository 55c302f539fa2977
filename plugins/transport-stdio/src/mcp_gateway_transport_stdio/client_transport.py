"""Client transport that starts a child process for each session."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mcp.client.stdio import StdioServerParameters, stdio_client

from mcp_gateway.plugin import ClientTransport, Credentials, ServerUnavailable
from mcp_gateway_transport_stdio._sdk import Transport, TransportStreams
from mcp_gateway_transport_stdio.child.command import child_environment, resolve_command, resolve_directory
from mcp_gateway_transport_stdio.child.process import ChildCommand, open_child
from mcp_gateway_transport_stdio.child.stderr import ChildStderr, capture_stderr
from mcp_gateway_transport_stdio.child.stray_output import StrayOutput
from mcp_gateway_transport_stdio.options import StdioOptions
from mcp_gateway_transport_stdio.raw_channel import open_wire


@dataclass(frozen=True, slots=True)
class StdioClientTransport:
    """Stdio transport to one server."""

    options: StdioOptions

    @property
    def carries_credentials(self) -> bool:
        """Standard streams carry no headers, so all callers share a process."""
        return False

    def connect(self, credentials: Credentials) -> Transport:  # noqa: ARG002  # there is nowhere to put them
        """Return the unopened streams of a child process.

        The process starts when they are entered.
        """
        return _open_session(self.options)


@asynccontextmanager
async def stdio_client_transport(options: StdioOptions) -> AsyncIterator[ClientTransport]:
    """Resolve command and directory; no process is started yet."""
    yield StdioClientTransport(options)


@asynccontextmanager
async def _open_session(options: StdioOptions) -> AsyncIterator[TransportStreams]:
    noise = StrayOutput(Path(options.program).name)
    with capture_stderr(noise.program, options.secret_values) as stderr:
        try:
            async with _start_process(options, stderr, noise) as streams:
                yield streams
        except OSError as error:
            raise ServerUnavailable(
                f"{options.program!r} cannot be started: {error.strerror}", permanent=True
            ) from error
        except Exception as error:
            if noise.lines:
                error.add_note(f"it wrote {noise.summary}")
            if output := stderr.last_lines():
                error.add_note(f"it last wrote to standard error: {output}")
            raise


def _start_process(
    options: StdioOptions, stderr: ChildStderr, noise: StrayOutput
) -> AbstractAsyncContextManager[TransportStreams]:
    """Start the process and return its streams.

    On POSIX they have a raw channel; elsewhere they are those of the SDK.
    """
    environment, command, directory = child_environment(options), resolve_command(options), resolve_directory(options)
    if os.name == "posix":
        program = ChildCommand([command, *options.args], environment, directory, stderr.file)
        return open_wire(partial(open_child, program), noise, options.max_message_bytes)
    parameters = StdioServerParameters(
        command=command, args=options.args, env=environment, cwd=directory, encoding_error_handler="replace"
    )
    return stdio_client(parameters, errlog=stderr.file)
