"""Client transport that starts a child process for each session."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from mcp_gateway.plugin import ClientTransport, Credentials, ServerChannel, ServerUnavailable, open_stream_channel
from mcp_gateway_transport_stdio.child.channel import open_child_channel
from mcp_gateway_transport_stdio.child.command import (
    child_environment,
    explain_failed_start,
    find_login_path,
    needs_login_path,
    resolve_command,
    resolve_directory,
)
from mcp_gateway_transport_stdio.child.stderr import capture_stderr
from mcp_gateway_transport_stdio.child.stray_output import StrayOutput
from mcp_gateway_transport_stdio.child.supervised_process import ChildCommand, Supervisor
from mcp_gateway_transport_stdio.options import StdioOptions


@dataclass(frozen=True, slots=True)
class StdioClientTransport:
    """Stdio transport to one server."""

    options: StdioOptions
    supervisor: Supervisor

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
        return _open_session(self.options, self.supervisor)


@asynccontextmanager
async def stdio_client_transport(options: StdioOptions, supervisor: Supervisor) -> AsyncIterator[ClientTransport]:
    """Yield the transport; no process is started yet."""
    with supervisor.use():
        yield StdioClientTransport(options, supervisor)


@asynccontextmanager
async def _open_session(options: StdioOptions, supervisor: Supervisor) -> AsyncIterator[ServerChannel]:
    stray_output = StrayOutput(Path(options.program).name, options.secret_values)
    if needs_login_path(options):  # it is kept, so that nothing below waits for the shell
        await anyio.to_thread.run_sync(find_login_path, abandon_on_cancel=True)
    command, directory = resolve_command(options), resolve_directory(options)
    with capture_stderr(stray_output.program, options.secret_values, options.server) as stderr:
        program = ChildCommand([command, *options.args], child_environment(options), directory, stderr.file)
        try:
            async with _open_channel(options, supervisor, program, stray_output, stderr.lines) as channel:
                stderr.file.close()  # the child has its own: the last lines are known once that is closed, too
                yield channel
        except OSError as error:
            raise ServerUnavailable(explain_failed_start(options.program, command, error), permanent=True) from error
        # Cancelled means that it did not start in time, perhaps.
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            if stray_output.lines:
                error.add_note(stray_output.summary)
            if output := stderr.last_lines():
                error.add_note(f"it last wrote to standard error: {output}")
            raise


def _open_channel(
    options: StdioOptions,
    supervisor: Supervisor,
    program: ChildCommand,
    stray_output: StrayOutput,
    stderr_lines: Sequence[str],
) -> AbstractAsyncContextManager[ServerChannel]:
    """Return the unopened channel to the process.

    Where the event loop cannot wait for pipes, on Windows, it is one over the SDK's streams.
    """
    if os.name == "posix":
        return open_child_channel(supervisor, program, stray_output, options.max_message_bytes, stderr_lines)
    return _open_sdk_channel(program)


@asynccontextmanager
async def _open_sdk_channel(program: ChildCommand) -> AsyncIterator[ServerChannel]:
    from mcp.client.stdio import StdioServerParameters, stdio_client  # the MCP SDK is slow to import

    parameters = StdioServerParameters(
        command=program.command[0],
        args=[*program.command[1:]],
        env=dict(program.environment),
        cwd=program.directory,
        encoding_error_handler="replace",
    )
    async with stdio_client(parameters, errlog=program.errors) as streams, open_stream_channel(*streams) as channel:
        yield channel
