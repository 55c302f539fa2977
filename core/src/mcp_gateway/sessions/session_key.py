"""Session keys and the index of shared sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import anyio

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import Credentials
from mcp_gateway.sessions.session import Session

_NONE = Credentials()

FINISH_SECONDS = 0.1
"""Interval of checking whether the last calls to a server that is no longer configured are done."""


@dataclass(slots=True, unsafe_hash=True)
class SessionKey:
    """Key of a session: server, credentials, and a client if exclusive.

    `capabilities` are the client capabilities sent to a handshake-era server, as canonical JSON. `behalf` is the
    client that sends the request, whether or not it has the session to itself; None is the gateway itself.

    Never changed, but not frozen: each call makes one, and that would take three times as long.
    """

    spec: ServerSpec
    credentials: Credentials = _NONE
    client: str | None = None
    capabilities: str = ""
    behalf: str | None = field(default=None, compare=False)

    def without_capabilities(self) -> SessionKey:
        """Return the key of a session that serves any capabilities."""
        return SessionKey(self.spec, self.credentials, self.client, "", self.behalf) if self.capabilities else self


@dataclass(slots=True)
class SessionIndex:
    """Index of sessions by the keys of the requests that share them.

    A handshake-era server learns client capabilities once per session, so clients with different capabilities do not
    share one. Once a server has sent a request to a client, every client gets a session of its own, because the next
    request will be meant for one of them as well. If the server does not say which call its request belongs to, a
    client that may be several people (`is_one` returns False) even gets one session for each concurrent call.

    `modern` maps servers to whether they are of the modern era, as far as known.
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
            # A modern server gets the capabilities with each request, so they need not separate sessions.
            return session_key.without_capabilities()
        if session_key.behalf is None and session_key.client is None:
            return self._any_open(session_key) or session_key
        if server not in self._asking or not session_key.capabilities:
            return session_key
        if self._asking[server] or self.is_one(str(session_key.behalf)):
            return replace(session_key, client=session_key.behalf)
        return self._idle_key(session_key)

    def _idle_key(self, session_key: SessionKey) -> SessionKey:
        """Return the key of an idle session of this client.

        The session may not be open yet.
        """
        for number in count():
            key = replace(session_key, client=f"{session_key.behalf}/{number}")
            session = self.sessions.get(key)
            if session is None or session.users <= session.router.watchers:
                return key
        raise AssertionError  # count() does not end

    def _any_open(self, session_key: SessionKey) -> SessionKey | None:
        """Return any open session of equal server, credentials and capabilities.

        It is for requests of the gateway itself, which no server request can concern.
        """
        alike = [key for key in self.sessions if _alike(key, session_key) and not (key.client and key.spec.stateful)]
        as_capable = [key for key in alike if key.capabilities == session_key.capabilities]
        if session_key in as_capable:
            return session_key
        return next(iter(as_capable or ([] if session_key.capabilities else alike)), None)

    def key_of(self, session: Session) -> SessionKey | None:
        """Return the key of a session, or None if not indexed."""
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

        A modern server gets capabilities with each request, so one session is enough for all clients.
        """
        self.modern[session.server] = modern
        key = self.key_of(session)
        if modern and key is not None and key.capabilities:
            self._rekey(key, key.without_capabilities())

    def on_server_request(self, session: Session, *, attributed: bool) -> None:
        """Record that a server sends requests, attributed or not.

        An attributed request says which of the gateway's requests it relates to. If only one client has used the
        session, that client keeps it.
        """
        # Once unattributed, always treated so: a single question shown to the wrong person is too many.
        self._asking[session.server] = attributed and self._asking.get(session.server, True)
        key = self.key_of(session)
        if key is not None and key.client is None and len(session.router.clients) == 1:
            self._rekey(key, replace(key, client=next(iter(session.router.clients))))

    def find_first_start(self, session_key: SessionKey) -> Session | None:
        """Return the session with which a server is first being started.

        Others wait for it: it may be a download, which a second process would begin anew, or spoil.
        """
        if session_key.spec.name in self.modern:
            return None
        opening = (
            kept for key, kept in self.sessions.items() if _alike(key, session_key) and not kept.settled.is_set()
        )
        first = next(opening, None)
        return None if first is self.sessions.get(self.key(session_key)) else first

    def find_start(self, spec: ServerSpec) -> Session | None:
        """Return the session that a server starts for, if none is open."""
        if self.has_open(spec):
            return None
        theirs = (kept for key, kept in self.sessions.items() if key.spec is spec)
        return next((kept for kept in theirs if not kept.settled.is_set()), None)

    def sessions_of(self, client: str) -> list[Session]:
        """Return the sessions that a client uses."""
        return [session for session in self.sessions.values() if client in session.router.clients]

    def count(self, server: str) -> int:
        """Count a server's sessions."""
        return sum(1 for key in self.sessions if key.spec.name == server)

    def find_longest_idle(self, server: str) -> SessionKey | None:
        """Return the key of the session that was unused for longest.

        None if all are in use.
        """
        unused = (key for key, kept in self.sessions.items() if key.spec.name == server and not kept.users)
        return min(unused, key=lambda key: self.sessions[key].used, default=None)

    def has_open(self, spec: ServerSpec) -> bool:
        """Whether a server has any open session."""
        return any(key.spec is spec and kept.connection is not None for key, kept in self.sessions.items())

    def find_superseded(self, session_key: SessionKey) -> SessionKey | None:
        """Return the key of the gateway's superseded session.

        Superseded is a session that only the gateway has used, as soon as clients use another one.
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


async def finish(sessions: Sequence[Session]) -> None:
    """Close sessions once their calls are done; new calls cannot begin."""
    # On a session that is still opening, no call is under way.
    while busy := [
        session
        for session in sessions
        if session.users > session.router.watchers and session.settled.is_set() and not session.gone.is_set()
    ]:
        for session in set(sessions).difference(busy):
            session.stop()
        # Polled, because the users of a session are only counted.
        await anyio.sleep(FINISH_SECONDS)
    for session in sessions:
        session.stop()
        await session.gone.wait()
