"""Clients that many threads may share, and what they see: a right answer, or a failure in words."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from ...e2e.support.gateways import WAIT_SECONDS, Process
from ...e2e.support.raw_clients import HANDSHAKE, INFO, MODERN, add_envelope
from .matrix import RIGHT

Json = dict[str, Any]
_numbers = itertools.count(1)


class Caller(Protocol):
    """A client of the gateway."""

    def call(self, tool: str, arguments: Json) -> Json:
        """Call a tool; return the response, or raise OSError."""
        ...


@dataclass
class HttpCaller:
    """A client over HTTP, of the modern era."""

    url: str
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def call(self, tool: str, arguments: Json) -> Json:
        params = add_envelope({"name": tool, "arguments": arguments})
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": "tools/call", "params": params}
        headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": tool}
        headers |= {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        where = urlsplit(self.url)
        connection = HTTPConnection(where.netloc, timeout=WAIT_SECONDS)
        try:
            connection.request("POST", where.path, json.dumps(message), headers)
            return _response(connection.getresponse())
        except HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()


def _response(response: HTTPResponse) -> Json:
    """Return the response in a body, which is JSON or a stream of events that ends with it."""
    kind, text = response.getheader("content-type") or "", response.read().decode()
    if kind.startswith("text/event-stream"):
        text = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()][-1]
    elif not kind.startswith("application/json"):
        raise OSError(f"the gateway itself says HTTP {response.status}: {text[:200]}")
    found: Json = json.loads(text)
    return found


class StdioCaller:
    """A client over the gateway's own pipes, of the handshake era; a thread hands each response to who waits for it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._waiting: dict[int, Future[Json]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()
        self._ask("initialize", {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": INFO})
        self._tell({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, tool: str, arguments: Json) -> Json:
        return self._ask("tools/call", {"name": tool, "arguments": arguments})

    def _ask(self, method: str, params: Json) -> Json:
        id_, future = next(self._ids), Future[Json]()
        self._waiting[id_] = future
        self._tell({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})
        return future.result(WAIT_SECONDS)

    def _tell(self, message: Json) -> None:
        assert self._process.popen.stdin is not None
        with self._lock:
            self._process.popen.stdin.write(json.dumps(message) + "\n")
            self._process.popen.stdin.flush()

    def _read(self) -> None:
        assert self._process.popen.stdout is not None
        for line in self._process.popen.stdout:
            message = json.loads(line)
            if "method" not in message and (waiting := self._waiting.pop(message["id"], None)) is not None:
                waiting.set_result(message)
        for future in self._waiting.values():
            future.set_exception(OSError("the gateway closed its output"))


def call_echo(caller: Caller, server: str) -> str:
    """Call a server's `echo` and say what came back: the right answer, or the failure's code and words."""
    token = next(_numbers)
    try:
        response = caller.call(f"{server}__echo", {"token": token})
    except OSError as error:
        return f"connection: {error}"
    if "error" in response:
        return f"{response['error']['code']}: {response['error']['message']}"
    said = response["result"].get("structuredContent") or {}
    if response["result"].get("isError"):
        return f"{said.get('error_code')}: {said.get('error')}"
    return RIGHT if said.get("arguments") == {"token": token} else f"a wrong answer: {said}"


def wait_until_right(look: Callable[[], str], seconds: float) -> str:
    """Call again and again until the answer is right; return the last one when that took too long."""
    late = threading.Event()
    timer = threading.Timer(seconds, late.set)
    timer.start()
    try:
        while (found := look()) != RIGHT and not late.wait(0.1):
            pass
        return found
    finally:
        timer.cancel()


@dataclass
class BackgroundCaller:
    """Calls another server all the while, and counts what comes back."""

    look: Callable[[], str]
    seen: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _more: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()
        return self

    def _call(self) -> None:
        while not self._stop.is_set():
            found = self.look()
            with self._more:
                self.seen.append(found)
                self._more.notify_all()
            self._stop.wait(0.1)

    def calls_again(self) -> None:
        """Wait until a call that begins now has been answered."""
        with self._more:
            wanted = len(self.seen) + 2  # the one under way may have begun earlier
            assert self._more.wait_for(lambda: len(self.seen) >= wanted, WAIT_SECONDS), (
                "the background caller waits for ever"
            )

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(WAIT_SECONDS)
