"""Session keys and the index of shared sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.plugin import Credentials
from mcp_gateway.sessions.session import Keeper


@dataclass(frozen=True, slots=True)
class Borrower:
    """Key of a session: server, credentials, and a client if exclusive.

    `capabilities` are those that a handshake-era server is told of, as `frozen` writes
    them. `behalf` is the client that sends the request, whether or not the session is its
    own; None is the gateway itself.
    """

    spec: ServerSpec
    credentials: Credentials = field(default_factory=Credentials)
    client: str | None = None
    capabilities: str = ""
    behalf: str | None = field(default=None, compare=False)


@dataclass(slots=True)
class Sharing:
    """The sessions, by what those who share one have in common.

    A server of the handshake era hears once a session what its clients can do, so clients
    that can do different things do not share one. And once a server has asked a client
    something, every client gets a session of its own, for the next question will be for
    one of them, too. If it is not told for whom it asks, a client that may be several
    people (`is_one` says no) even gets one for each request at a time.
    `modern` says which servers are known to be of which era.
    """

    keepers: dict[Borrower, Keeper] = field(default_factory=dict)
    modern: dict[str, bool] = field(default_factory=dict)
    is_one: Callable[[str], bool] = lambda _: True
    _asking: dict[str, bool] = field(default_factory=dict)

    def key(self, borrower: Borrower) -> Borrower:
        """Return the index key of the session to use.

        Which clients share a session depends on the server.
        """
        server = borrower.spec.name
        if self.modern.get(server):
            return replace(borrower, capabilities="") if borrower.capabilities else borrower
        if borrower.behalf is None and borrower.client is None:
            return self._any_open(borrower) or borrower
        if server not in self._asking or not borrower.capabilities:
            return borrower
        if self._asking[server] or self.is_one(str(borrower.behalf)):
            return replace(borrower, client=borrower.behalf)
        return self._unused(borrower)

    def _unused(self, borrower: Borrower) -> Borrower:
        """Return the key of an idle session of this client.

        It may be a session that is yet to be opened.
        """
        for number in count():
            key = replace(borrower, client=f"{borrower.behalf}/{number}")
            keeper = self.keepers.get(key)
            if keeper is None or keeper.users <= keeper.audience.watchers:
                return key
        raise AssertionError  # count() does not end

    def _any_open(self, borrower: Borrower) -> Borrower | None:
        """Return any open session of equal server, credentials and capabilities.

        For requests of the gateway itself.
        """
        alike = [key for key in self.keepers if _alike(key, borrower) and not (key.client and key.spec.stateful)]
        as_capable = [key for key in alike if key.capabilities == borrower.capabilities]
        if borrower in as_capable:
            return borrower
        return next(iter(as_capable or ([] if borrower.capabilities else alike)), None)

    def key_of(self, keeper: Keeper) -> Borrower | None:
        """Return under which key a session is kept."""
        return next((key for key, kept in self.keepers.items() if kept is keeper), None)

    def taken(self, spec: ServerSpec) -> list[Keeper]:
        """Remove and return all sessions of a server.

        Its era is forgotten, too.
        """
        self.modern.pop(spec.name, None)
        self._asking.pop(spec.name, None)
        return [self.keepers.pop(key) for key in list(self.keepers) if key.spec is spec]

    def opened(self, keeper: Keeper, *, modern: bool) -> None:
        """Record a server's era; share the session if modern.

        A modern server gets capabilities with each request, so one session does for all clients.
        """
        self.modern[keeper.server] = modern
        key = self.key_of(keeper)
        if modern and key is not None and key.capabilities:
            self._rekey(key, replace(key, capabilities=""))

    def asked(self, keeper: Keeper, *, attributed: bool) -> None:
        """Record that a server sends requests, attributed or not.

        Attributed ones name the request that they are related to.

        The session belongs to the client that has used it, if it is only one.
        """
        self._asking[keeper.server] = attributed and self._asking.get(keeper.server, True)
        key = self.key_of(keeper)
        if key is not None and key.client is None and len(keeper.audience.clients) == 1:
            self._rekey(key, replace(key, client=next(iter(keeper.audience.clients))))

    def superseded(self, borrower: Borrower) -> Borrower | None:
        """Return the key of the gateway's superseded session.

        It is a session that only the gateway itself has used, when there is one that clients use.
        """
        plain = Borrower(borrower.spec, borrower.credentials)
        keeper = self.keepers.get(plain)
        if keeper is None or keeper.users or keeper.audience.clients or borrower.spec.stateful:
            return None
        others = (kept for key, kept in self.keepers.items() if key != plain and _alike(key, plain))
        return plain if any(kept.peer is not None for kept in others) else None

    def _rekey(self, key: Borrower, new: Borrower) -> None:
        if new not in self.keepers:
            self.keepers[new] = self.keepers.pop(key)


def _alike(key: Borrower, other: Borrower) -> bool:
    return (key.spec, key.credentials) == (other.spec, other.credentials)
