"""What is played for each row: a gateway in front of faulty servers, a fault, a caller, and a bystander."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ...e2e.support.gateways import GATEWAY, PATIENCE, Json, Workshop, is_alive, until
from ..support.clients import Bystander, Caller, HttpCaller, PipeCaller, seen, until_right
from ..support.matrix import RIGHT, Row

FAULTY = str(Path(__file__).parents[1] / "programs" / "faulty.py")


@dataclass(frozen=True)
class Outcome:
    """What was seen: by the caller, by the others, and at the end."""

    caller: str
    others: tuple[str, ...]
    at_last: str


@dataclass(frozen=True)
class Stage:
    """A gateway in front of one server for each row, and a bystander's server of each kind."""

    folder: Path
    caller: Caller

    def look(self, server: str) -> Callable[[], str]:
        return lambda: seen(self.caller, server)

    def play(self, row: Row) -> Outcome:
        """Bring the fault about and take it away; note what everybody saw."""
        name = row.server
        look = self.look(name)
        assert (ready := until_right(look, PATIENCE)) == RIGHT, ready
        with Bystander(self.look("bystander")) as bystander:
            bystander.calls_again()
            end = self._begin(row, name, bystander)
            found = [look() for _ in range(row.calls)][-1]
            bystander.calls_again()
            end()
            at_last = until_right(look, row.healthy)
            bystander.calls_again()
        return Outcome(found, tuple(bystander.seen), at_last)

    def _begin(self, row: Row, name: str, bystander: Bystander) -> Callable[[], None]:
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
            bystander.calls_again()  # by then the gateway has seen the pipe's end
            return lambda: file.unlink(missing_ok=True)
        file.write_text(row.key, encoding="utf-8")
        return lambda: file.unlink(missing_ok=True)

    def _pid(self, name: str) -> int:
        return int(self.caller.call(f"{name}__echo", {})["result"]["structuredContent"]["pid"])


def play_all(stage: Stage, rows: Sequence[Row]) -> dict[str, Outcome]:
    """Play the rows at once: most of the time is waiting."""
    with ThreadPoolExecutor(len(rows)) as threads:
        return dict(zip((row.key for row in rows), threads.map(stage.play, rows), strict=True))


def child_entry(folder: Path, name: str, **keys: object) -> Json:
    return {"name": name, "command": sys.executable, "args": ["-S", FAULTY, "stdio", str(folder), name], **keys}


def entries(workshop: Workshop, children: Sequence[Row], remote: Sequence[Row]) -> list[Json]:
    """Return a server for each row."""
    folder = workshop.folder / "faults"
    folder.mkdir()
    process = workshop.start([sys.executable, "-S", FAULTY, "http", str(folder)], dict(os.environ))
    assert process.popen.stdout is not None
    root = f"http://127.0.0.1:{process.popen.stdout.readline().strip()}"
    found = [child_entry(folder, "bystander"), {"name": "bystander-http", "url": f"{root}/bystander-http"}]
    found += [child_entry(folder, row.server, **patience(row)) for row in children]
    found += [{"name": row.server, "url": f"{root}/{row.server}", **patience(row)} for row in remote]
    return found


def patience(row: Row) -> Json:
    return {} if row.patience is None else {"timeout": row.patience}


def play_over_http(workshop: Workshop, children: Sequence[Row], remote: Sequence[Row]) -> dict[str, Outcome]:
    gateway = workshop.listening(workshop.config(*entries(workshop, children, remote)))
    return play_all(Stage(workshop.folder / "faults", HttpCaller(gateway.url)), (*children, *remote))


def play_over_stdio(workshop: Workshop, children: Sequence[Row], remote: Sequence[Row]) -> dict[str, Outcome]:
    """Play without the fast lane."""
    config = workshop.config(*entries(workshop, children, remote))
    process = workshop.start([GATEWAY], workshop.environment(config, GATEWAY_DIRECT="false"))
    return play_all(Stage(workshop.folder / "faults", PipeCaller(process)), (*children, *remote))
