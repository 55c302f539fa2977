"""Session keys and the index of shared sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import Credentials
from mcp_gateway.sessions.session import Session


@dataclass(frozen=True, slots=True)
class SessionKey:
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
class SessionIndex:
    """The sessions, by what those who share one have in common.

    A server of the handshake era hears once a session what its clients can do, so clients
    that can do different things do not share one. And once a server has asked a client
    something, every client gets a session of its own, for the next question will be for
    one of them, too. If it is not told for whom it asks, a client that may be several
    people (`is_one` says no) even gets one for each request at a time.
    `modern` says which servers are known to be of which era.
    """

    sessions: dict[SessionKey, Session] = field(default_factory=dict)
    # By server: the era belongs to the program, not to one of its sessions.
    modern: dict[str, bool] = field(default_factory=dict)
    is_one: Callable[[str], bool] = lambda _: True
    _asking: dict[str, bool] = field(default_factory=dict)

    def key(self, session_key: SessionKey) -> SessionKey:
        """Return the index key of the session to use.

        Which clients share a session depends on the server.
        """
        server = session_key.spec.name
        if self.modern.get(server):
            # A modern server hears capabilities with each request.
            return replace(session_key, capabilities="") if session_key.capabilities else session_key
        if session_key.behalf is None and session_key.client is None:
            return self._any_open(session_key) or session_key
        if server not in self._asking or not session_key.capabilities:
            return session_key
        if self._asking[server] or self.is_one(str(session_key.behalf)):
            return replace(session_key, client=session_key.behalf)
        return self._idle_key(session_key)

    def _idle_key(self, session_key: SessionKey) -> SessionKey:
        """Return the key of an idle session of this client.

        It may be a session that is yet to be opened.
        """
        for number in count():
            key = replace(session_key, client=f"{session_key.behalf}/{number}")
            session = self.sessions.get(key)
            if session is None or session.users <= session.router.watchers:
                return key
        raise AssertionError  # count() does not end

    def _any_open(self, session_key: SessionKey) -> SessionKey | None:
        """Return any open session of equal server, credentials and capabilities.

        For requests of the gateway itself.
        """
        alike = [key for key in self.sessions if _alike(key, session_key) and not (key.client and key.spec.stateful)]
        as_capable = [key for key in alike if key.capabilities == session_key.capabilities]
        if session_key in as_capable:
            return session_key
        return next(iter(as_capable or ([] if session_key.capabilities else alike)), None)

    def key_of(self, session: Session) -> SessionKey | None:
        """Return under which key a session is kept."""
        return next((key for key, kept in self.sessions.items() if kept is session), None)

    def remove_server(self, spec: ServerSpec) -> list[Session]:
        """Remove and return all sessions of a server.

        Its era is forgotten, too.
        """
        self.modern.pop(spec.name, None)
        self._asking.pop(spec.name, None)
        return [self.sessions.pop(key) for key in list(self.sessions) if key.spec is spec]

    def on_session_opened(self, session: Session, *, modern: bool) -> None:
        """Record a server's era; share the session if modern.

        A modern server gets capabilities with each request, so one session does for all clients.
        """
        self.modern[session.server] = modern
        key = self.key_of(session)
        if modern and key is not None and key.capabilities:
            self._rekey(key, replace(key, capabilities=""))

    def on_server_request(self, session: Session, *, attributed: bool) -> None:
        """Record that a server sends requests, attributed or not.

        Attributed ones name the request that they are related to.

        The session belongs to the client that has used it, if it is only one.
        """
        # Once unattributed, always so: one guess that goes to a wrong person is too many.
        self._asking[session.server] = attributed and self._asking.get(session.server, True)
        key = self.key_of(session)
        if key is not None and key.client is None and len(session.router.clients) == 1:
            self._rekey(key, replace(key, client=next(iter(session.router.clients))))

    def find_superseded(self, session_key: SessionKey) -> SessionKey | None:
        """Return the key of the gateway's superseded session.

        It is a session that only the gateway itself has used, when there is one that clients use.
        """
        plain = SessionKey(session_key.spec, session_key.credentials)
        session = self.sessions.get(plain)
        if session is None or session.users or session.router.clients or session_key.spec.stateful:
            return None
        others = (kept for key, kept in self.sessions.items() if key != plain and _alike(key, plain))
        return plain if any(kept.connection is not None for kept in others) else None

    def _rekey(self, key: SessionKey, new: SessionKey) -> None:
        if new not in self.sessions:
            self.sessions[new] = self.sessions.pop(key)


def _alike(key: SessionKey, other: SessionKey) -> bool:
    return (key.spec, key.credentials) == (other.spec, other.credentials)
