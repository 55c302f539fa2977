"""What is run for each row: a gateway in front of faulty servers, a fault, a caller, and a background caller."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ...e2e.support.gateways import GATEWAY, WAIT_SECONDS, Json, Launcher, is_alive, until
from ..support.clients import BackgroundCaller, Caller, HttpCaller, StdioCaller, call_echo, wait_until_right
from ..support.matrix import RIGHT, Row

FAULTY = str(Path(__file__).parents[1] / "programs" / "faulty.py")


@dataclass(frozen=True)
class Outcome:
    """What was seen: by the caller, by the others, and at the end."""

    caller: str
    others: tuple[str, ...]
    at_last: str


@dataclass(frozen=True)
class FaultyGateway:
    """A gateway in front of one server for each row, and a background caller's server of each kind."""

    folder: Path
    caller: Caller

    def look(self, server: str) -> Callable[[], str]:
        return lambda: call_echo(self.caller, server)

    def run(self, row: Row) -> Outcome:
        """Bring the fault about and take it away; note what everybody saw."""
        name = row.server
        look = self.look(name)
        assert (ready := wait_until_right(look, WAIT_SECONDS)) == RIGHT, ready
        with BackgroundCaller(self.look("bystander")) as background:
            background.calls_again()
            end = self._begin(row, name, background)
            found = [look() for _ in range(row.calls)][-1]
            background.calls_again()
            end()
            at_last = wait_until_right(look, row.healthy)
            background.calls_again()
        return Outcome(found, tuple(background.seen), at_last)

    def _begin(self, row: Row, name: str, background: BackgroundCaller) -> Callable[[], None]:
        """Begin a fault; return what ends it."""
        file = self.folder / name
        if row.key == "dies at start":
            file.write_text(row.key, encoding="utf-8")
        if row.key in {"killed before", "stopped", "dies at start"}:
            pid = self._pid(name)
            if row.key == "stopped":
                os.kill(pid, signal.SIGSTOP)
                return lambda: os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGKILL)
            until(lambda: not is_alive(pid), "the child ends")
            background.calls_again()  # by then the gateway has seen the pipe's end
            return lambda: file.unlink(missing_ok=True)
        file.write_text(row.key, encoding="utf-8")
        return lambda: file.unlink(missing_ok=True)

    def _pid(self, name: str) -> int:
        return int(self.caller.call(f"{name}__echo", {})["result"]["structuredContent"]["pid"])


def run_all(gateway: FaultyGateway, rows: Sequence[Row]) -> dict[str, Outcome]:
    """Run the rows at once: most of the time is waiting."""
    with ThreadPoolExecutor(len(rows)) as threads:
        return dict(zip((row.key for row in rows), threads.map(gateway.run, rows), strict=True))


def child_entry(folder: Path, name: str, **keys: object) -> Json:
    return {"name": name, "command": sys.executable, "args": ["-S", FAULTY, "stdio", str(folder), name], **keys}


def entries(launcher: Launcher, children: Sequence[Row], remote: Sequence[Row]) -> list[Json]:
    """Return a server for each row."""
    folder = launcher.folder / "faults"
    folder.mkdir()
    process = launcher.start([sys.executable, "-S", FAULTY, "http", str(folder)], dict(os.environ))
    assert process.popen.stdout is not None
    root = f"http://127.0.0.1:{process.popen.stdout.readline().strip()}"
    found = [child_entry(folder, "bystander"), {"name": "bystander-http", "url": f"{root}/bystander-http"}]
    found += [child_entry(folder, row.server, **timeout(row)) for row in children]
    found += [{"name": row.server, "url": f"{root}/{row.server}", **timeout(row)} for row in remote]
    return found


def timeout(row: Row) -> Json:
    return {} if row.timeout is None else {"timeout": row.timeout}


def run_over_http(launcher: Launcher, children: Sequence[Row], remote: Sequence[Row]) -> dict[str, Outcome]:
    gateway = launcher.start_http(launcher.config(*entries(launcher, children, remote)))
    return run_all(FaultyGateway(launcher.folder / "faults", HttpCaller(gateway.url)), (*children, *remote))


def run_over_stdio(launcher: Launcher, children: Sequence[Row], remote: Sequence[Row]) -> dict[str, Outcome]:
    config = launcher.config(*entries(launcher, children, remote))
    process = launcher.start([GATEWAY], launcher.environment(config))
    return run_all(FaultyGateway(launcher.folder / "faults", StdioCaller(process)), (*children, *remote))
