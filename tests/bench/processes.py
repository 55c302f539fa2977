"""Starts processes, ends them with all their children, and says what CPU time and memory they took."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
SERVERS = ("downstream", "slow_server.py", "asking_server.py")
"""The programs that play servers: what they use is not the gateway's."""
_ports = itertools.count(20000 + os.getpid() % 10000)


def free_port() -> int:
    """Return a port that nobody uses, below those that outgoing connections get."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        for task in _tasks(found[-1]):
            with suppress(OSError):
                todo += [int(child) for child in (task / "children").read_text().split()]
    return found


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _is_server(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:4]
    except OSError:
        return False
    return any(word.decode(errors="replace").endswith(tuple(f"/{name}" for name in SERVERS)) for word in words)


def gateway_family(pid: int) -> list[int]:
    """Return the gateway's processes: a process and all below it but the servers."""
    return [member for member in family(pid) if not _is_server(member)]


def cpu_seconds(pid: int) -> tuple[float, float]:
    """Return the CPU time of the gateway's processes twice: in clock ticks with ended children, and exactly without."""
    ticks, exact = 0, 0
    for member in gateway_family(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
            if member == pid:
                ticks += int(fields[13]) + int(fields[14])
        for task in _tasks(member):
            with suppress(OSError):
                exact += int((task / "schedstat").read_text().split()[0])
    return ticks / os.sysconf("SC_CLK_TCK"), exact / 1e9


def cpu_between(before: tuple[float, float], after: tuple[float, float]) -> float:
    """Return the seconds between two looks at `cpu_seconds`; processes that ended count in the ticks alone."""
    return max(after[0] - before[0] - 0.02, after[1] - before[1])


def _kilobytes(path: str, key: str) -> int:
    with suppress(OSError):
        for line in Path(path).read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0


def resident(pid: int) -> int:
    """Return the bytes that one process holds in memory."""
    return _kilobytes(f"/proc/{pid}/smaps_rollup", "Rss") * 1024


def memory(pid: int) -> dict[str, float]:
    """Return MiB of the gateway's processes: now, now with shared pages counted once, and at most so far."""
    members = gateway_family(pid)
    keys = {"rss": ("smaps_rollup", "Rss"), "pss": ("smaps_rollup", "Pss"), "peak": ("status", "VmHWM")}
    return {
        name: round(sum(_kilobytes(f"/proc/{member}/{file}", key) for member in members) / 1024, 1)
        for name, (file, key) in keys.items()
    }


class Process:
    """A program in a session of its own; stopping it ends all that it started."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        log: Path | None = None,
        piped: bool = False,
    ) -> None:
        self.log = log
        self._log: IO[Any] = Path(log or os.devnull).open("ab")  # noqa: SIM115  # open as long as the process
        self.started = time.perf_counter()
        self.popen = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self.pid = self.popen.pid

    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def end_of_log(self, length: int = 600) -> str:
        return self.log.read_bytes()[-length:].decode(errors="replace") if self.log and self.log.exists() else ""

    def stop(self) -> None:
        """Ask it to end, then end it; then those that hid in groups of their own."""
        members = family(self.pid)
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(patience)
                break
        for member in members[1:]:
            with suppress(OSError):
                os.kill(member, signal.SIGKILL)
        for stream in (self.popen.stdin, self.popen.stdout, self._log):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
