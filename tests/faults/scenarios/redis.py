"""Faults of Redis: the gateway goes on without it, and uses it again when it is well."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from redis import Redis
from redis.exceptions import RedisError

from ...e2e.support.gateways import WAIT_SECONDS, Launcher, free_port, redis_server
from ..support.clients import HttpCaller, call_echo, wait_until_right
from ..support.matrix import RIGHT, Row
from .environment import background_calls, faulty_http, finds
from .servers import Outcome, child_entry

PREFIX = "mcp-gateway:"


@dataclass
class Store:
    """A Redis that can be degraded."""

    folder: Path
    stack: ExitStack
    port: int = field(default_factory=free_port)
    _popen: Popen[bytes] | None = None

    def start(self) -> None:
        self._popen = self.stack.enter_context(redis_server(self.folder, self.port))

    def ask(self, *command: str | int) -> object:
        with Redis(port=self.port, socket_timeout=WAIT_SECONDS) as client:
            return client.execute_command(*command)

    def signal(self, number: int) -> None:
        assert self._popen is not None
        self._popen.send_signal(number)

    def kill(self) -> None:
        assert self._popen is not None
        self._popen.kill()
        self._popen.wait(WAIT_SECONDS)

    def forget(self) -> None:
        self.ask("FLUSHALL")

    @contextmanager
    def degraded(self, how: str) -> Iterator[None]:
        """Be degraded inside."""
        begin, end = self.faults[how]
        begin()
        try:
            yield
        finally:
            end()

    @property
    def faults(self) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
        def restart() -> None:
            self.kill()
            self.start()

        return {
            "redis killed": (self.kill, self.start),
            "redis paused": (lambda: self.signal(signal.SIGSTOP), lambda: self.signal(signal.SIGCONT)),
            "redis full": (lambda: self._full(full=True), lambda: self._full(full=False)),
            "redis read-only": (
                lambda: self.ask("REPLICAOF", "127.0.0.1", free_port()),
                lambda: self.ask("REPLICAOF", "NO", "ONE"),
            ),
            "redis restarted": (restart, lambda: None),
        }

    def _full(self, *, full: bool) -> None:
        self.ask("CONFIG", "SET", "maxmemory", "1" if full else "0")


def use_all(caller: HttpCaller) -> str:
    """Do all that a caller does: search, discover, call; return the right answer, or what was not right."""
    discovered = caller.call("discover_tools", {"server_name": "shared"})["result"]["structuredContent"]
    if not discovered.get("success"):
        return f"discover_tools: {discovered}"
    found = finds(caller, "echo", "shared__echo")
    return found if found != RIGHT else call_echo(caller, "shared")


def check_stored(caller: HttpCaller, store: Store) -> str:
    """Say whether what a caller discovers is in Redis afterwards."""
    if (found := use_all(caller)) != RIGHT:
        return found
    try:
        names = store.ask("KEYS", f"{PREFIX}*:shared:*")
    except (RedisError, OSError) as error:
        return f"Redis: {error}"
    return RIGHT if names else "the definitions are not in Redis"


def run_redis(launcher: Launcher, rows: tuple[Row, ...]) -> dict[str, Outcome]:
    """Run all rows, one after the other, with one gateway."""
    folder = launcher.folder / "faults"
    folder.mkdir()
    root = faulty_http(launcher, folder)
    config = launcher.config(child_entry(folder, "bystander"), {"name": "shared", "url": f"{root}/shared"})
    with ExitStack() as stack:
        store = Store(launcher.folder, stack)
        store.start()
        variables = {"STORAGE_BACKEND": "redis", "REDIS_URL": f"redis://127.0.0.1:{store.port}/0"}
        caller = HttpCaller(launcher.start_http(config, **variables).url)
        return {row.key: run(store, caller, row) for row in rows}


def run(store: Store, caller: HttpCaller, row: Row) -> Outcome:
    assert (ready := wait_until_right(lambda: check_stored(caller, store), WAIT_SECONDS)) == RIGHT, ready
    with background_calls(caller) as background:
        store.forget()
        with store.degraded(row.key):
            found = use_all(caller)
            background.calls_again()
        at_last = wait_until_right(lambda: check_stored(caller, store), row.healthy)
    return Outcome(found, tuple(background.seen), at_last)
