"""Sets one gateway up in front of its servers, waits until it is ready, and measures calls through it."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .binaries import program
from .clients import Client, HttpClient, Refused, SseClient, StdioClient
from .load import Load
from .peers import Launch, Peer, Place, Server
from .peers.base import AUTHORIZATION
from .processes import Process, cpu_between, cpu_seconds, free_port, memory
from .rows import Row

Json = dict[str, Any]
MEBIBYTE = 1 << 20
ECHO = Row("echo", "a plain call of any size", size=0)
NOT_READY = (OSError, http.client.HTTPException, Refused, KeyError, ValueError)


class Broken(Exception):
    """A gateway did not start, or did not become ready."""


class Stage:
    """A gateway and its servers, from the entering of a `with` to its end."""

    def __init__(
        self,
        peer: Peer,
        pair: str,
        *,
        tools: int = 10,
        servers: int = 0,
        make: Callable[[int], Server] | None = None,
        patience: float = 120,
        options: tuple[str, ...] = (),
        credentials: str = "",
    ) -> None:
        self.peer, self.pair, self.patience = peer, pair, patience
        self._count = servers or (2 if peer.aggregates else 1)
        self._tools, self._make, self._options = tools, make, options
        self._credentials = credentials
        self._running: list[Process] = []
        self.process: Process | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="bench-"))
        try:
            self.servers = tuple(self._server(number) for number in range(self._count))
            self.peer.server_count = self._count
            self.place = Place(self.pair, self.servers, free_port(), self._folder, self._credentials)
            self.log = self._folder / "gateway.log"
            self.launch: Launch = self.peer.launch(self.place)
            self.port = self.launch.port or self.place.port
            self.began = time.perf_counter()
            if self.place.over_http and self.launch.command:
                self.process = self._start()
            if not self._make:
                self.wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        for process in ([self.process] if self.process else []) + self._running:
            process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _server(self, number: int) -> Server:
        if self._make:
            return self._make(number)
        name = f"d{number + 1}"
        asked = ("--authorization", AUTHORIZATION) if self._credentials else ()
        options = ("--tools", str(self._tools), "--name", name, *self._options, *asked)
        if self.pair.endswith("stdio"):
            return Server(name, command=(program("downstream"), "--stdio", *options))
        port = free_port()
        self._running.append(Process([program("downstream"), "--http", str(port), *options]))
        wait_for_port(port)
        return Server(name, url=f"http://127.0.0.1:{port}/mcp")

    def _start(self, *, piped: bool = False) -> Process:
        launch = self.launch
        return Process(launch.command, environment=launch.environment, folder=launch.folder, log=self.log, piped=piped)

    def client(self) -> Client:
        """Return a client; over stdio, with a gateway of its own."""
        if not self.place.over_http:
            return StdioClient(self._start(piped=True), self.peer.era)
        kind = SseClient if self.peer.sessions == "sse" else HttpClient
        return kind(self.port, self.launch.path, self.launch.headers, self.peer.era)

    def wait(self) -> Json:
        """Wait until all tools can be seen or found; return the seconds until the greeting, the list, all tools."""
        until, said, times = time.perf_counter() + self.patience, "", {}
        wanted = [(server.name, server.last) for server in self.servers]
        while time.perf_counter() < until:
            if self.process and not self.process.is_alive():
                raise Broken(f"it ended: {self.process.end_of_log()}")
            with suppress(*NOT_READY):
                client = self.client()
                try:
                    client.greet()
                    times.setdefault("greeted", self._elapsed())
                    client.tools()
                    times.setdefault("listed", self._elapsed())
                    while time.perf_counter() < until:
                        wanted = self.peer.missing(client, wanted)
                        if not wanted:
                            return {**times, "all": self._elapsed()}
                        time.sleep(0.02)
                except NOT_READY as error:
                    said = str(error)
                    raise
                finally:
                    client.close()
            time.sleep(0.02)
        log = self.log.read_text(errors="replace")[-300:] if self.log.exists() else ""
        raise Broken(f"not ready after {self.patience:.0f} s; still missing {wanted[:3]}; {said} {log}")

    def _elapsed(self) -> float:
        return round(time.perf_counter() - self.began, 3)

    def load(
        self, callers: int, *, calls: int = 0, seconds: float = 0, size: int = 0, warmup: int = -1, row: Row = ECHO
    ) -> Load:
        """Start the load client; it waits for the word."""
        size = size or row.size
        tool, sent = self._request(row, size)
        params = json.dumps(sent, separators=(",", ":"))
        warmup = warmup if warmup >= 0 else max(20, 2 * callers)
        numbers = {"callers": callers, "warmup": warmup, "timeout": 60, "size": size, "seconds": seconds}
        command = [f"--{name}={value}".split("=")[part] for name, value in numbers.items() for part in (0, 1)]
        command += ["--era", self.peer.era, "--method", row.method, "--tool", tool, "--params", params, *row.client]
        command += ["--calls", str(calls)] if calls else []
        if self.place.over_http:
            command += ["--url", f"http://127.0.0.1:{self.port}{self.launch.path}", "--sessions", self.peer.sessions]
            for name, value in self.launch.headers.items():
                command += ["-H", f"{name}: {value}"]
            return Load(command)
        settings = ["env", *(f"{name}={value}" for name, value in self.launch.environment.items())]
        where = ["sh", "-c", 'cd "$0" && exec "$@"', str(self.launch.folder or ".")]
        return Load([*command, "--stderr", str(self.log), "--", *settings, *where, *self.launch.command])

    def _request(self, row: Row, size: int) -> tuple[str, Json]:
        """Return the name that a modern client repeats in a header, and the params."""
        if row.method == "prompts/get":
            name = self.peer.tool("d1", "say")
            return name, {"name": name, "arguments": {"text": "{T}"}}
        if row.method == "resources/read":
            return "bench://d1/{T}", {"uri": "bench://d1/{T}"}
        if row.method == "completion/complete":
            ref = {"type": "ref/prompt", "name": self.peer.tool("d1", "say")}
            return "", {"ref": ref, "argument": {"name": "text", "value": "{T}"}}
        arguments: Json = {"text": "{T}", **({"size": size} if size else {}), **row.arguments}
        name, arguments = self.peer.call("d1", "echo", arguments)
        return name, {"name": name, "arguments": arguments}

    def measure(self, callers: int, **options: Any) -> Json:
        """Run one load; return what the client saw, and what it cost the gateway's processes."""
        load = self.load(callers, **options)
        try:
            if load.failed:
                return {"failed": load.failed[:400]}
            pid = load.ready["pid"] or (self.process.pid if self.process else 0)
            before = cpu_seconds(pid) if pid else (0.0, 0.0)
            result = load.run()
            if pid and result.get("calls"):
                result["cpu_s"] = round(cpu_between(before, cpu_seconds(pid)), 4)
                result["cpu_ms_per_call"] = round(result["cpu_s"] * 1e3 / result["calls"], 4)
                result["memory"] = memory(pid)
            result["session_p50_ms"] = load.ready["session_p50_ms"]
            if self.process and not self.process.is_alive():
                result["failed"] = f"it ended: {self.process.end_of_log(300)}"
            return result
        finally:
            load.end()


def wait_for_port(port: int) -> None:
    """Wait until somebody listens."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise Broken(f"nobody listens at port {port}")
