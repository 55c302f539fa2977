"""Resource subscriptions, shared per session.

A server gets one subscription for all clients who share a session.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.connection import Connection
from mcp_gateway.client.subscribe import watch
from mcp_gateway.plugin import GatewayError, ServerUnavailable
from mcp_gateway.protocol.capabilities import decode_capabilities
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.sessions.attempts import limit_inactivity
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session import Session
from mcp_gateway.sessions.session_key import SessionKey

log = structlog.get_logger(__name__)

UpdatedFn = Callable[[Json], Coroutine[Any, Any, None]]
"""Callback of a subscriber for resource updates, with the notification's params."""

MAX_SUBSCRIPTIONS = 1000
"""How many resources one client may subscribe to."""

_AGAIN_SECONDS = 5.0

Key = tuple[SessionKey, str]


@dataclass(slots=True, eq=False)
class _Watch:
    """A subscription at a server, with its subscribers; `scope` ends it.

    `news` has, per subscriber and resource, the update being delivered and the next one.
    """

    subscribers: dict[str, UpdatedFn] = field(default_factory=dict)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    settled: anyio.Event = field(default_factory=anyio.Event)
    error: Exception | None = None
    news: dict[tuple[str, str], Json | None] = field(default_factory=dict)


@dataclass(slots=True)
class Subscriptions:
    """Resource subscriptions that survive lost sessions.

    Each lives as long as it has subscribers.
    """

    tasks: TaskGroup
    pool: Pool
    _watches: dict[Key, _Watch] = field(default_factory=dict)

    async def add(self, subscriber: str, session_key: SessionKey, uri: str, updated: UpdatedFn) -> None:
        """Have `updated` called when the resource changes, until `remove` or `forget`.

        Raises:
            GatewayError: the server is unreachable.
            MCPError: the server does not support subscriptions to this resource.

        """
        if sum(subscriber in watch.subscribers for watch in self._watches.values()) >= MAX_SUBSCRIPTIONS:
            raise MCPError(types.INVALID_REQUEST, f"a client may subscribe to {MAX_SUBSCRIPTIONS} resources at most")
        key = (replace(await self.pool.get_shared_key(session_key), capabilities=session_key.capabilities), uri)
        watched = self._watches.get(key)
        if watched is None:
            watched = self._watches[key] = _Watch()
            self.tasks.start_soon(self._keep, key, watched)
        watched.subscribers[subscriber] = updated
        try:
            await watched.settled.wait()
        # Without this a subscriber that leaves during the subscription would never be removed.
        except BaseException:
            self._leave(key, subscriber)
            raise
        if watched.error is not None:
            raise watched.error

    def remove(self, subscriber: str, uri: str) -> None:
        """Remove one subscription."""
        for key in [key for key in self._watches if key[1] == uri]:
            self._leave(key, subscriber)

    def forget(self, subscriber: str) -> None:
        """Remove all subscriptions of a subscriber."""
        for key in list(self._watches):
            self._leave(key, subscriber)

    def on_resource_updated(self, key: SessionKey, params: Json) -> None:
        """Handle a resource update: notify its subscribers.

        Subscribers of a resource also get the updates of its sub-resources, as the specification allows.
        """
        uri = str(params.get("uri"))
        theirs = [(watched, found) for (who, watched), found in self._watches.items() if _shares(who, key)]
        exact = [found for watched, found in theirs if watched == uri]
        for found in exact or [found for watched, found in theirs if uri.startswith(watched)]:
            self._tell(found, params)

    def _tell(self, watched: _Watch, params: Json) -> None:
        """Notify all subscribers.

        Of the updates that arrive while a subscriber is being notified, it gets only the latest.
        """
        for subscriber, updated in watched.subscribers.items():
            about = (subscriber, str(params.get("uri")))
            if about in watched.news:
                watched.news[about] = params
            elif len(watched.news) < MAX_SUBSCRIPTIONS:
                watched.news[about] = params
                self.tasks.start_soon(self._deliver, watched, about, updated)

    async def _deliver(self, watched: _Watch, about: tuple[str, str], updated: UpdatedFn) -> None:
        try:
            while (params := watched.news[about]) is not None:
                watched.news[about] = None
                await updated(params)
        finally:
            del watched.news[about]

    def _leave(self, key: Key, subscriber: str) -> None:
        watched = self._watches.get(key)
        if watched is None or watched.subscribers.pop(subscriber, None) is None:
            return
        if not watched.subscribers:
            del self._watches[key]
            watched.scope.cancel()

    async def _keep(self, key: Key, watched: _Watch) -> None:
        """Hold a subscription, resubscribing when lost.

        A resubscription counts as an update, because one may have been missed.
        """
        session_key, uri = key
        capabilities = decode_capabilities(session_key.capabilities)

        def on_updated(params: Json) -> None:
            self._tell(watched, params)

        def on_started() -> None:
            if watched.settled.is_set():
                self._tell(watched, {"uri": uri})
            watched.settled.set()

        async def watch_once(session: Session) -> None:
            with limit_inactivity(session) as (connection, inactivity), inactivity.pause(), _watching(connection):
                await watch(connection, uri, capabilities, on_started, on_updated)

        with watched.scope:
            while True:
                try:
                    await self.pool.attempts(session_key).run(watch_once)
                except (GatewayError, MCPError) as error:
                    if not watched.settled.is_set():
                        watched.error = error
                        break
                    log.info("subscription lost", server=session_key.spec.name, reason=str(error))
                    if isinstance(error, ServerUnavailable) and error.permanent:
                        break
                await anyio.sleep(_AGAIN_SECONDS)
        # The last subscriber may have left, and a new one may have begun another watch under the same key.
        if self._watches.get(key) is watched:
            del self._watches[key]
        watched.settled.set()


@contextmanager
def _watching(connection: Connection) -> Iterator[None]:
    """Count as a watcher, which does not delay the session's end."""
    connection.router.watchers += 1
    try:
        yield
    finally:
        connection.router.watchers -= 1


def _shares(session_key: SessionKey, key: SessionKey) -> bool:
    """Whether a session's notifications may concern another session key.

    `key` is that of the session, `session_key` that of the subscription.
    """
    mine = (session_key.spec, session_key.credentials, session_key.capabilities)
    return mine == (key.spec, key.credentials, key.capabilities) and key.client in (
        None,
        session_key.client,
        session_key.behalf,
    )
