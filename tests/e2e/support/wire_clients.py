"""Clients that send and get bytes: what they see is what was on the wire, character for character."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from queue import Empty, Queue
from threading import Thread
from typing import Any, Protocol
from urllib.parse import urlsplit

from .gateways import WAIT_SECONDS, Process
from .raw_clients import HANDSHAKE, INFO, MODERN, Json, add_envelope

_IDLE_SECONDS = 1.0
INITIALIZE: Json = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": INFO}


def encode_request(id_: str, method: str, params: Json, *, modern: bool) -> bytes:
    """Encode a request; `id_` is JSON."""
    meta = {"_meta": {"io.modelcontextprotocol/logLevel": "debug", **params.get("_meta", {})}}
    sent = add_envelope({**params, **meta}) if modern else params
    return b'{"jsonrpc":"2.0","id":%b,"method":"%b","params":%b}' % (
        id_.encode(),
        method.encode(),
        json.dumps(sent).encode(),
    )


def is_response(message: bytes, id_: str) -> bool:
    """Whether a message of the gateway's answers a request."""
    return message.startswith(b'{"jsonrpc":"2.0","id":%b,"' % id_.encode()) and b'"method":' not in message[:700]


class WireClient(Protocol):
    """What both can do."""

    modern: bool

    def ask(self, id_: str, method: str, params: Json) -> list[bytes]:
        """Send a request; return what came up to its response, which is the last."""
        ...

    def send(self, message: bytes, method: str, params: Json, *, id_: str = "1") -> bytes:
        """Send a request as it is; return its response, or the error for a message that cannot be read."""
        ...

    def notify(self, message: bytes, method: str) -> None:
        """Send a notification as it is; over HTTP it is accepted."""
        ...

    def abandon(self, id_: str, method: str, params: Json, begun: Callable[[], Any]) -> None:
        """Send a request, and cancel it when it has `begun`."""
        ...

    def close(self) -> None:
        """Go away."""
        ...


@dataclass
class StdioWire:
    """Speaks to a gateway that is a child process."""

    process: Process
    modern: bool
    _lines: Queue[bytes] = field(default_factory=Queue)

    def __post_init__(self) -> None:
        Thread(target=self._read, daemon=True).start()
        if not self.modern:
            self.ask('"i"', "initialize", INITIALIZE)
            self._write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
            self.ask('"l"', "logging/setLevel", {"level": "debug"})

    def _read(self) -> None:
        assert self.process.popen.stdout is not None
        for line in self.process.popen.stdout.buffer:  # type: ignore[attr-defined]  # it is a text file over a pipe
            self._lines.put(line)
        self._lines.put(b"")

    def _write(self, message: bytes) -> None:
        assert self.process.popen.stdin is not None
        stream = self.process.popen.stdin.buffer  # type: ignore[attr-defined]
        stream.write(message + b"\n")
        stream.flush()

    def ask(self, id_: str, method: str, params: Json) -> list[bytes]:
        self._write(encode_request(id_, method, params, modern=self.modern))
        heard = [self._next()]
        while not is_response(heard[-1], id_):
            heard.append(self._next())
        return heard

    def send(self, message: bytes, method: str, params: Json, *, id_: str = "1") -> bytes:
        self._write(message)
        while not is_response(line := self._next(), id_) and not is_response(line, "null"):
            pass
        return line

    def notify(self, message: bytes, method: str) -> None:
        self._write(message)

    def _next(self) -> bytes:
        try:
            line = self._lines.get(timeout=WAIT_SECONDS)
        except Empty:
            raise AssertionError(f"nothing came: {self.process.errors.seen[-5:]}") from None
        assert line.endswith(b"\n"), f"the gateway closed its output: {self.process.errors.seen[-10:]}"
        return line[:-1]

    def close(self) -> None:
        """Nothing is its own: the process is ended by who started it."""

    def abandon(self, id_: str, method: str, params: Json, begun: Callable[[], Any]) -> None:
        self._write(encode_request(id_, method, params, modern=self.modern))
        begun()
        self._write(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%b}}' % id_.encode())


@dataclass
class HttpWire:
    """Speaks to a URL over one connection."""

    url: str
    modern: bool
    _session: Mapping[str, str] = field(default_factory=dict)
    _connection: HTTPConnection = field(init=False)
    _used: float = 0.0

    def __post_init__(self) -> None:
        self._connection = self._connect()
        if not self.modern:
            head, _ = self._post(encode_request('"i"', "initialize", INITIALIZE, modern=False), {})
            self._session = {"mcp-session-id": head["mcp-session-id"], "mcp-protocol-version": HANDSHAKE}
            self._post(b'{"jsonrpc":"2.0","method":"notifications/initialized"}', {})
            self.ask('"l"', "logging/setLevel", {"level": "debug"})

    def _connect(self) -> HTTPConnection:
        return HTTPConnection(urlsplit(self.url).netloc, timeout=WAIT_SECONDS)

    def _send(self, connection: HTTPConnection, message: bytes, headers: Mapping[str, str]) -> Any:
        accept = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        sent = {**accept, **self._session, **headers}
        connection.request("POST", urlsplit(self.url).path, message, sent)
        return connection

    def _post(self, message: bytes, headers: Mapping[str, str]) -> tuple[Mapping[str, str], bytes]:
        # Idle connections are closed by the gateway.
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self._connection.close()
        try:
            response = self._send(self._connection, message, headers).getresponse()
            return {name.lower(): value for name, value in response.getheaders()}, response.read()
        except BaseException:
            self._connection.close()
            raise
        finally:
            self._used = time.monotonic()

    def _headers(self, method: str, params: Json) -> dict[str, str]:
        return {"mcp-protocol-version": MODERN, "mcp-method": method, "mcp-name": params["name"]} if self.modern else {}

    def notify(self, message: bytes, method: str) -> None:
        headers = {"mcp-protocol-version": MODERN, "mcp-method": method} if self.modern else {}
        assert self._post(message, headers)[1] == b""

    def send(self, message: bytes, method: str, params: Json, *, id_: str = "1") -> bytes:
        head, body = self._post(message, self._headers(method, params))
        if head["content-type"].startswith("application/json"):
            return body
        return next(line[6:] for line in reversed(body.splitlines()) if line.startswith(b"data: {"))

    def ask(self, id_: str, method: str, params: Json) -> list[bytes]:
        request = encode_request(id_, method, params, modern=self.modern)
        head, body = self._post(request, self._headers(method, params))
        if head["content-type"].startswith("application/json"):
            return [body]
        events = (event for event in body.replace(b"\r\n", b"\n").split(b"\n\n") if b"data:" in event)
        data = [
            b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")) for event in events
        ]
        messages = [message for message in data if message]
        assert is_response(messages[-1], id_), messages[-1][:200]
        return messages

    def abandon(self, id_: str, method: str, params: Json, begun: Callable[[], Any]) -> None:
        request = encode_request(id_, method, params, modern=self.modern)
        connection = self._send(self._connect(), request, self._headers(method, params))
        begun()
        if not self.modern:
            notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": json.loads(id_)}}
            self._post(json.dumps(notice).encode(), {})
        connection.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
