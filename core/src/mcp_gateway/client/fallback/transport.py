"""A client transport with a fallback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.errors import leaf_of
from mcp_gateway.client.fallback.channel import FallbackChannel, enter_channel
from mcp_gateway.client.fallback.last_connections import LastConnections
from mcp_gateway.client.fallback.refusals import add_alternative, add_hint, is_unsupported
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import ClientTransport, Credentials, ServerChannel

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class FallbackTransport:
    """Two ways to one server.

    The one that reached it last is tried first. `names` are those of their providers. `second` is None if its plugin is
    not there; `hint` then says how it comes.
    """

    spec: ServerSpec
    names: tuple[str, str]
    first: ClientTransport
    second: ClientTransport | None = None
    hint: str = ""
    connections: LastConnections = field(default_factory=LastConnections)
    carries_credentials: bool = field(init=False)
    """Whether either of them sends credentials."""

    def __post_init__(self) -> None:
        """Ask both."""
        second = self.second
        self.carries_credentials = self.first.carries_credentials or (second is not None and second.carries_credentials)

    @property
    def is_second_used(self) -> bool:
        """Whether the second one has reached it last."""
        return self.second is not None and self.connections.find(self.spec).transport == self.names[1]

    @property
    def current(self) -> ClientTransport:
        """The one that is tried first."""
        return self.second if self.second is not None and self.is_second_used else self.first

    @property
    def alternative(self) -> ClientTransport | None:
        """The one that is tried then."""
        return self.first if self.is_second_used else self.second

    @property
    def alternative_name(self) -> str:
        """The name of what is tried then."""
        return self.names[0 if self.is_second_used else 1]

    def on_reached(self, transport: ClientTransport) -> None:
        """Remember which one has reached the server."""
        if transport is not self.current:
            log.info("another transport used", server=self.spec.name, transport=self.alternative_name)
            self.connections.record(self.spec, transport="" if self.is_second_used else self.names[1])

    def connect(self, credentials: Credentials) -> AbstractAsyncContextManager[ServerChannel]:
        """Return an unopened channel, over either transport."""
        return self._open(credentials)

    @asynccontextmanager
    async def _open(self, credentials: Credentials) -> AsyncIterator[ServerChannel]:
        current, alternative, name = self.current, self.alternative, self.alternative_name
        async with AsyncExitStack() as stack:
            try:
                channel = await enter_channel(stack, current.connect(credentials))
            except Exception as error:
                refusal = leaf_of(error)
                if not isinstance(refusal, MCPError) or not is_unsupported(refusal):
                    raise
                if alternative is None:
                    raise add_hint(refusal, self.hint) from None
                channel = await self._open_alternative(stack, alternative, credentials, refusal)
                current, alternative = alternative, None
            yield await stack.enter_async_context(
                FallbackChannel(
                    channel,
                    None if alternative is None else alternative.connect(credentials),
                    name,
                    self.hint,
                    lambda moved: self.on_reached(alternative if moved and alternative is not None else current),
                )
            )

    async def _open_alternative(
        self, stack: AsyncExitStack, alternative: ClientTransport, credentials: Credentials, refusal: MCPError
    ) -> ServerChannel:
        try:
            return await enter_channel(stack, alternative.connect(credentials))
        except Exception as error:  # noqa: BLE001  # a border with foreign code: transports may raise anything
            raise add_alternative(refusal, self.alternative_name, leaf_of(error)) from None
