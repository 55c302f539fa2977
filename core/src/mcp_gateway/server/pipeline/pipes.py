"""Pipes: connections of one client each, without headers.

A gateway over stdio has one. A transport that serves several opens each by name, so that nothing that belongs to one
client is taken for another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count

from mcp_gateway.plugin import Principal, ResponseWriter

PIPE: ContextVar[str] = ContextVar("pipe", default="pipe")
"""The name of the pipe that a message without headers has come by."""

AbandonFn = Callable[[], None]
DispatchFn = Callable[[bytes, Mapping[str, str] | None, Principal | None, ResponseWriter], AbandonFn | None]


@dataclass(frozen=True, slots=True)
class Pipe:
    """One of several pipes; implements `SupportsRawDispatch`."""

    name: str
    dispatch: DispatchFn

    def dispatch_raw(
        self, message: bytes, headers: Mapping[str, str] | None, principal: Principal | None, writer: ResponseWriter
    ) -> AbandonFn | None:
        """Begin to answer a message that has come by this pipe."""
        # Not by the context of the caller: an event loop may call back in that of another client's task.
        token = PIPE.set(self.name)
        try:
            return self.dispatch(message, headers, principal, writer)
        finally:
            PIPE.reset(token)


@dataclass(slots=True)
class Pipes:
    """The pipes that are open, where a transport serves several.

    `on_closed` is called with the name of each that has ended.
    """

    dispatch: DispatchFn
    on_closed: Callable[[str], None]
    names: set[str] = field(default_factory=set)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @contextmanager
    def open_pipe(self) -> Iterator[Pipe]:
        """Open a pipe, to which this task and its children belong."""
        pipe = Pipe(f"pipe-{next(self._numbers)}", self.dispatch)
        token = PIPE.set(pipe.name)
        self.names.add(pipe.name)
        try:
            yield pipe
        finally:
            PIPE.reset(token)
            self.names.discard(pipe.name)
            self.on_closed(pipe.name)
