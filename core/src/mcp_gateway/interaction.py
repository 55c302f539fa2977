"""What passes between a client and a server while a request is under way: progress, questions and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.plugin import GatewayError
from mcp_gateway.sessions.peer import Json, ProgressFn

AskFn = Callable[[str, Json], Awaitable[Json]]
"""Sends a client a request, method and params; returns its result as it is."""

MAX_ROUNDS = 20
"""How often a server may ask back before its request is given up."""

_CAPABILITIES = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


class NotAnswered(GatewayError):
    """A server asks the client something that the client cannot answer."""

    code = "input_required"


@dataclass(frozen=True, slots=True)
class Interaction:
    """What a client can take and give while its request is under way.

    `capabilities` are those that it declared; a server is offered these and no others. `ask`
    reaches a client of the handshake era. One of the modern era is not asked: it gets the
    server's questions as the result, and sends its request again with the answers.
    """

    on_progress: ProgressFn | None = None
    capabilities: Json = field(default_factory=dict)
    ask: AskFn | None = None


def asks_back(result: Mapping[str, Any]) -> bool:
    """Whether a result is no result yet, but questions of a modern server."""
    return result.get("resultType") == "input_required"


async def answers(server: str, result: Mapping[str, Any], interaction: Interaction, ask: AskFn) -> Json:
    """Put a modern server's questions to a handshake-era client; return what to add to the request.

    Raises:
        NotAnswered: the client did not declare that it can answer such a question.
        MCPError: the client answered with an error.

    """
    requests = result.get("inputRequests")
    given: Json = {}
    for key, request in requests.items() if isinstance(requests, dict) else ():
        method, params = str(request.get("method")), dict(request.get("params") or {})
        if _CAPABILITIES.get(method) not in interaction.capabilities:
            raise NotAnswered(f"server {server!r} asks for {method}, which the client did not declare that it can do")
        if params.get("mode") == "url":
            params.setdefault("elicitationId", f"{server}-{key}")  # the handshake era wants one, the modern has none
        given[key] = {"resultType": "complete", **await ask(method, params)}
    again: Json = {"inputResponses": given} if given else {}
    return {**again, "requestState": result["requestState"]} if "requestState" in result else again
