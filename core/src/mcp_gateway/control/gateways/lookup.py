"""The running gateways of this user, and those that cannot be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from mcp_gateway.control.gateways.client import GatewayGone, Refusal, RunningClient, open_running_client
from mcp_gateway.control.report import NothingRuns
from mcp_gateway.local_socket.folder import Endpoint, list_endpoints
from mcp_gateway.plugin import GatewayError

Json = dict[str, Any]

NONE_RUNS = "no gateway of yours is running; your client starts one, or: mcp-orchestration-gateway serve"
"""What is said where a running gateway is asked, and there is none."""

STATUS_SECONDS = 10.0
"""How long a gateway may take to describe itself."""


@dataclass(frozen=True, slots=True)
class Gateways:
    """What the gateways of this user answered, and why others did not."""

    answers: Mapping[Endpoint, Json]
    unusable: Mapping[Endpoint, GatewayError]

    def check(self, pid: int) -> None:
        """Raise an error unless the gateway with a process could be asked.

        Raises:
            NothingRuns: there is none.
            GatewayError: the reason why it could not.

        """
        for endpoint, error in self.unusable.items():
            if endpoint.pid == pid:
                raise error
        if all(endpoint.pid != pid for endpoint in self.answers):
            running = ", ".join(str(one.pid) for one in (*self.answers, *self.unusable)) or "none"
            raise NothingRuns(f"no gateway of yours runs with process {pid}; running: {running} (see status)")

    def explain(self) -> list[str]:
        """Return a sentence for each gateway that could not be asked."""
        return [str(error) for error in self.unusable.values()]


async def describe_gateways(pid: int | None = None) -> Gateways:
    """Ask all gateways, or the one with a process, for their status.

    Raises:
        GatewayError: there is no gateway with that process, or it cannot be asked.

    """

    async def ask_status(client: RunningClient) -> Json:
        if pid not in (None, client.endpoint.pid):
            return {}
        try:
            return await client.ask("status", seconds=STATUS_SECONDS)
        except Refusal as error:
            raise Refusal(f"the gateway with process {client.endpoint.pid} gives no status: {error}") from None

    found = await _ask_all(ask_status)
    if pid is None:
        return found
    found.check(pid)
    return Gateways({endpoint: answer for endpoint, answer in found.answers.items() if endpoint.pid == pid}, {})


async def find_gateways() -> Gateways:
    """Return which gateways greet; files of those that have ended are removed."""

    async def ask_nothing(_: RunningClient) -> Json:
        return {}

    return await _ask_all(ask_nothing)


async def choose_running(pid: int | None) -> Endpoint:
    """Return the gateway with a process, or the only one.

    Raises:
        NothingRuns: there is none, or there are several.
        GatewayError: the chosen one cannot be asked.

    """
    found = await find_gateways()
    if pid is not None:
        found.check(pid)
        return next(endpoint for endpoint in found.answers if endpoint.pid == pid)
    if len(found.answers) == 1:
        return next(iter(found.answers))
    if found.answers:
        pids = ", ".join(str(endpoint.pid) for endpoint in found.answers)
        raise NothingRuns(f"several gateways run; choose one with --gateway PID: {pids}")
    raise NothingRuns("; ".join(found.explain()) or NONE_RUNS)


async def _ask_all(ask: Callable[[RunningClient], Awaitable[Json]]) -> Gateways:
    """Ask all gateways at a time: one that hangs delays no other."""
    answers: dict[Endpoint, Json] = {}
    errors: dict[Endpoint, GatewayError] = {}

    async def ask_one(endpoint: Endpoint) -> None:
        try:
            async with open_running_client(endpoint) as client:
                answers[endpoint] = await ask(client)
        except GatewayError as error:
            if isinstance(error, GatewayGone) and not endpoint.is_alive():
                endpoint.remove()
            else:
                errors[endpoint] = error

    endpoints = list(list_endpoints())
    async with anyio.create_task_group() as tasks:
        for endpoint in endpoints:
            tasks.start_soon(ask_one, endpoint)
    return Gateways(
        {one: answers[one] for one in endpoints if one in answers},
        {one: errors[one] for one in endpoints if one in errors},
    )
