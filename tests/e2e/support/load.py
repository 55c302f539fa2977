"""Clients that call, search and list without a pause, and look at every answer."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any, Self
from urllib.parse import urlsplit

from .gateways import WAIT_SECONDS, until
from .raw_clients import MODERN, add_envelope

THREADS = 6


@dataclass
class Load:
    """Clients that never pause. `wrong` holds what must not be, `failed` when calls that failed began and ended."""

    url: str
    done: int = 0
    wrong: list[Any] = field(default_factory=list)
    failed: list[tuple[float, float, str]] = field(default_factory=list)
    served: dict[str, int] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._run, args=[number]) for number in range(THREADS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)

    def goes_on(self, count: int = 200) -> None:
        """Wait for so many more answers."""
        before = self.done
        until(lambda: self.done >= before + count or self.wrong, "the load goes on")

    def uses(self, name: str) -> bool:
        """Whether a gateway has answered lately."""
        self.served.clear()
        self.goes_on(60)
        return name in self.served

    def _run(self, number: int) -> None:
        kinds = (self._call, self._search, self._call, self._list)
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=WAIT_SECONDS)
        count = number
        while not self._over.is_set():
            count += THREADS
            began = time.monotonic()
            try:
                wrong = kinds[count // THREADS % len(kinds)](connection, count)
            except (OSError, HTTPException, ValueError) as error:
                connection.close()
                self.failed.append((began, time.monotonic(), f"{type(error).__name__}: {error}"))
                continue
            with self._lock:
                self.done += 1
            if wrong is not None:
                self.wrong.append(wrong)
        connection.close()

    def _call(self, connection: HTTPConnection, count: int) -> Any:
        answer = self._ask(connection, "tools/call", name="plain__echo", arguments={"n": count})
        right = answer.get("result", {}).get("structuredContent", {}).get("arguments") == {"n": count}
        return None if right else answer

    def _search(self, connection: HTTPConnection, count: int) -> Any:
        arguments = {"query": "echo arguments"}
        answer = self._ask(connection, "tools/call", name="tool_search", arguments=arguments)
        tools = answer.get("result", {}).get("structuredContent", {}).get("tools", [])
        return None if tools and tools[0]["tool_name"] == "plain__echo" else answer

    def _list(self, connection: HTTPConnection, count: int) -> Any:
        answer = self._ask(connection, "tools/list")
        tools = {tool["name"] for tool in answer.get("result", {}).get("tools", [])}
        return None if {"plain__echo", "tool_search"} <= tools else answer

    def _ask(self, connection: HTTPConnection, method: str, **params: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": add_envelope(params)}
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        headers |= {"mcp-protocol-version": MODERN, "mcp-method": method}
        if "name" in params:
            headers["mcp-name"] = params["name"]
        connection.request("POST", "/mcp", json.dumps(message), headers)
        response = connection.getresponse()
        body = response.read()
        if response.status in {502, 503, 504}:
            raise ValueError(f"HTTP {response.status}")
        name = response.headers.get("x-served-by", "")
        with self._lock:
            self.served[name] = self.served.get(name, 0) + 1
        if (response.headers.get("content-type") or "").startswith("text/event-stream"):
            body = body.rpartition(b"data:")[2]
        return json.loads(body)
