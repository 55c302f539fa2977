"""Client transport that starts a child process for each session."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from mcp_gateway.plugin import ClientTransport, Credentials, ServerChannel, ServerUnavailable, open_stream_channel
from mcp_gateway_transport_stdio.child.channel import open_child_channel
from mcp_gateway_transport_stdio.child.command import (
    child_environment,
    find_login_path,
    needs_login_path,
    resolve_command,
    resolve_directory,
)
from mcp_gateway_transport_stdio.child.process import ChildCommand
from mcp_gateway_transport_stdio.child.stderr import ChildStderr, capture_stderr
from mcp_gateway_transport_stdio.child.stray_output import StrayOutput
from mcp_gateway_transport_stdio.options import StdioOptions


@dataclass(frozen=True, slots=True)
class StdioClientTransport:
    """Stdio transport to one server."""

    options: StdioOptions

    @property
    def carries_credentials(self) -> bool:
        """Standard streams carry no headers, so all callers share a process."""
        return False

    def connect(
        self,
        credentials: Credentials,  # noqa: ARG002  # there is nowhere to put them
    ) -> AbstractAsyncContextManager[ServerChannel]:
        """Return the unopened channel to a child process.

        The process starts when it is entered.
        """
        return _open_session(self.options)


@asynccontextmanager
async def stdio_client_transport(options: StdioOptions) -> AsyncIterator[ClientTransport]:
    """Resolve command and directory; no process is started yet."""
    yield StdioClientTransport(options)


@asynccontextmanager
async def _open_session(options: StdioOptions) -> AsyncIterator[ServerChannel]:
    stray_output = StrayOutput(Path(options.program).name)
    if needs_login_path(options):  # it is kept, so that nothing below waits for the shell
        await anyio.to_thread.run_sync(find_login_path, abandon_on_cancel=True)
    with capture_stderr(stray_output.program, options.secret_values) as stderr:
        try:
            async with _open_channel(options, stderr, stray_output) as channel:
                yield channel
        except OSError as error:
            raise ServerUnavailable(
                f"{options.program!r} cannot be started: {error.strerror}", permanent=True
            ) from error
        # Cancelled means that it did not start in time, perhaps.
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            if stray_output.lines:
                error.add_note(f"it wrote {stray_output.summary}")
            if output := stderr.last_lines():
                error.add_note(f"it last wrote to standard error: {output}")
            raise


def _open_channel(
    options: StdioOptions, stderr: ChildStderr, stray_output: StrayOutput
) -> AbstractAsyncContextManager[ServerChannel]:
    """Return the unopened channel to the process.

    Where the event loop cannot wait for pipes, on Windows, it is one over the SDK's streams.
    """
    environment, command, directory = child_environment(options), resolve_command(options), resolve_directory(options)
    if os.name == "posix":
        program = ChildCommand([command, *options.args], environment, directory, stderr.file)
        return open_child_channel(program, stray_output, options.max_message_bytes, stderr.lines)
    return _open_sdk_channel(options, command, environment, directory, stderr)


@asynccontextmanager
async def _open_sdk_channel(
    options: StdioOptions, command: str, environment: dict[str, str], directory: Path | None, stderr: ChildStderr
) -> AsyncIterator[ServerChannel]:
    from mcp.client.stdio import StdioServerParameters, stdio_client  # the MCP SDK is slow to import

    parameters = StdioServerParameters(
        command=command, args=options.args, env=environment, cwd=directory, encoding_error_handler="replace"
    )
    async with stdio_client(parameters, errlog=stderr.file) as streams, open_stream_channel(*streams) as channel:
        yield channel
