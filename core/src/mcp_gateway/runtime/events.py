"""Events that components emit to higher layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, ParamSpec

if TYPE_CHECKING:  # payload types are of higher layers, which this module must not import
    from mcp_gateway.catalog.listing import Listing
    from mcp_gateway.catalog.snapshot import Catalog
    from mcp_gateway.protocol.client_channel import Json
    from mcp_gateway.sessions.circuit_breaker import CircuitBreaker
    from mcp_gateway.sessions.session_key import SessionKey
    from mcp_gateway.storage.listings import ListingVersion

PayloadP = ParamSpec("PayloadP")


class Event(Generic[PayloadP]):
    """One kind of event, with its handlers in order of subscription."""

    def __init__(self) -> None:
        self._handlers: list[Callable[PayloadP, object]] = []

    def subscribe(self, handler: Callable[PayloadP, object]) -> None:
        """Call a handler whenever the event is emitted."""
        self._handlers.append(handler)

    def emit(self, *args: PayloadP.args, **kwargs: PayloadP.kwargs) -> None:
        """Call all handlers; an exception of one propagates."""
        for handler in self._handlers:
            handler(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class GatewayEvents:
    """The events of a gateway, created before the components that use them.

    * `disabled_server_wanted`: a client has asked for a server that is disabled.
    * `server_failed`: the first failure in a row.
    * `server_down`: the circuit of a server has opened.
    * `server_asked`: listing a server has ended, successfully or not.
    * `replica_gap`: updates of other replicas may have been lost.
    """

    catalog_changed: Event[[Catalog]] = field(default_factory=Event)
    caller_catalog_changed: Event[[str, Listing | None, Listing, frozenset[str]]] = field(default_factory=Event)
    """The server's name, the listing before and now, the clients that see it."""
    server_list_changed: Event[[SessionKey, str, Json]] = field(default_factory=Event)
    """The session, the notification's method and params."""
    resource_updated: Event[[SessionKey, Json]] = field(default_factory=Event)
    disabled_server_wanted: Event[[]] = field(default_factory=Event)
    server_failed: Event[[CircuitBreaker]] = field(default_factory=Event)
    server_down: Event[[CircuitBreaker]] = field(default_factory=Event)
    server_asked: Event[[]] = field(default_factory=Event)
    replica_update: Event[[str, ListingVersion]] = field(default_factory=Event)
    """The server's identity and the version that another replica has saved."""
    replica_gap: Event[[]] = field(default_factory=Event)
