"""Progress of servers that start, while a command waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.local_client import LOOK_SECONDS, LocalClient, open_local_client
from mcp_gateway.gateway.gateway import SETTLE_SECONDS
from mcp_gateway_cli.output.progress import Progress

_LOOK_SECONDS = 0.3


@asynccontextmanager
async def show_server_progress(client: LocalClient) -> AsyncIterator[None]:
    """Show which servers are starting during the block, if it takes long."""

    async def follow() -> None:
        while True:
            progress.update(client.describe_progress())
            await anyio.sleep(_LOOK_SECONDS)

    with Progress("starting the servers") as progress:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            yield
            tasks.cancel_scope.cancel()


async def wait_until_quiet(client: LocalClient) -> None:
    """Wait for the servers; only a moment after the last that came.

    So one that does not answer costs a moment, however long it may take, and many that start slowly are all waited for.
    The first one has longer: without any there is nothing to look at, and programs are downloaded at their first start.
    """
    registry = client.running.gateway.registry
    with anyio.move_on_after(LOOK_SECONDS) as quiet:

        def restart() -> None:
            if registry.catalog.servers:
                quiet.deadline = anyio.current_time() + SETTLE_SECONDS

        async def wait(done: anyio.Event) -> None:
            await done.wait()
            restart()

        restart()
        async with anyio.create_task_group() as tasks:
            for run in list(client.running.gateway.discovery.scheduler.shared_runs()):
                tasks.start_soon(wait, run.done)


@asynccontextmanager
async def open_client_with_progress(context: ControlContext, seconds: float) -> AsyncIterator[LocalClient]:
    """Open a client, and wait for the servers up to `seconds`.

    None is tried a second time.
    """
    async with open_local_client(context, retries=False) as client:
        async with show_server_progress(client):
            await client.wait_for_servers(seconds)
        yield client
