"""Clients that know JSON and nothing else: what they see is what was on the wire."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from queue import Empty, Queue
from typing import Any
from urllib.parse import urlsplit

import httpx2

from .gateways import WAIT_SECONDS, Process

Json = dict[str, Any]
MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"
INFO = {"name": "wire", "version": "1"}


def add_envelope(params: Json, capabilities: Json | None = None) -> Json:
    """Put the modern era's envelope on."""
    reserved = "io.modelcontextprotocol/"
    envelope = {
        f"{reserved}protocolVersion": MODERN,
        f"{reserved}clientCapabilities": capabilities or {},
        f"{reserved}clientInfo": INFO,
    }
    return {**params, "_meta": {**params.get("_meta", {}), **envelope}}


@dataclass(kw_only=True)
class Client:
    """What both clients can do, each with its own `begin`, `finish` and `send`.

    `answers` holds a result for each method by which it may be asked, `handshake_result` the result of the
    handshake. `asked` holds what it was asked, in the manner of either era, `results` those that
    were questions, and `messages` the messages that were neither answers nor questions.
    """

    capabilities: Json = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    handshake_result: Json = field(default_factory=dict)
    asked: list[tuple[str, Json]] = field(default_factory=list)
    results: list[Json] = field(default_factory=list)
    messages: list[Json] = field(default_factory=list)
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def call(self, tool: str, arguments: Json | None = None, **more: Any) -> Json:
        params = {"name": tool, **({} if arguments is None else {"arguments": arguments}), **more}
        return self.ask("tools/call", params)

    def ask(self, method: str, params: Json) -> Json:
        """Send a request; return the whole response."""
        return self.finish(self.begin(method, params))

    def request_with_answers(self, method: str, params: Json) -> Json:
        """Send a request, and send it again with answers as often as it is answered with questions."""
        response = self.ask(method, params)
        while response.get("result", {}).get("resultType") == "input_required":
            self.results.append(response["result"])
            response = self.ask(method, {**params, **self.answers_to(response["result"])})
        return response

    def answers_to(self, result: Json) -> Json:
        """Answer the questions in a result; return what to add to the request."""
        requests = result.get("inputRequests", {})
        given = {key: self._answer(asked["method"], asked.get("params", {})) for key, asked in requests.items()}
        state = {"requestState": result["requestState"]} if "requestState" in result else {}
        return {"inputResponses": {key: {"resultType": "complete", **value} for key, value in given.items()}, **state}

    def _answer(self, method: str, params: Json) -> Json:
        self.asked.append((method, params))
        found: Json = self.answers[method]
        return found

    def _handle(self, message: Json) -> None:
        """Take what is no answer: reply if it is a question."""
        if "id" not in message or "method" not in message:
            self.messages.append(message)
        elif message["method"] in self.answers:
            result = self._answer(message["method"], message.get("params", {}))
            self.send({"jsonrpc": "2.0", "id": message["id"], "result": result})
        else:
            error = {"code": -32601, "message": "Method not found"}
            self.send({"jsonrpc": "2.0", "id": message["id"], "error": error})

    def notifications(self, method: str) -> list[Json]:
        """Return the params of all notifications of one kind that were heard."""
        return [message.get("params", {}) for message in self.messages if message.get("method") == method]


@dataclass
class StdioClient(Client):
    """Speaks to a child process, line by line."""

    process: Process
    modern: bool
    _lines: Queue[str] = field(default_factory=Queue)
    _responses: dict[int, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()
        if not self.modern:
            declared = {"protocolVersion": HANDSHAKE, "capabilities": self.capabilities, "clientInfo": INFO}
            self.handshake_result = self.ask("initialize", declared)["result"]
            self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _read(self) -> None:
        assert self.process.popen.stdout is not None
        for line in self.process.popen.stdout:
            self._lines.put(line)
        self._lines.put("")

    def send(self, message: Json) -> None:
        assert self.process.popen.stdin is not None
        self.process.popen.stdin.write(json.dumps(message) + "\n")
        self.process.popen.stdin.flush()

    def begin(self, method: str, params: Json) -> int:
        """Send a request; do not wait."""
        id_ = next(self._ids)
        sent = add_envelope(params, self.capabilities) if self.modern else params
        self.send({"jsonrpc": "2.0", "id": id_, "method": method, "params": sent})
        return int(id_)

    def finish(self, id_: int) -> Json:
        """Read until the response with this id comes."""
        self.read_until(lambda: id_ in self._responses)
        return self._responses.pop(id_)

    def read_until(self, condition: Callable[[], Any]) -> None:
        """Take what comes until something is so."""
        while not condition():
            self._read_one()

    def _read_one(self) -> None:
        try:
            line = self._lines.get(timeout=WAIT_SECONDS)
        except Empty:
            raise AssertionError(f"it never came; the messages: {self.messages[-10:]}") from None
        assert line, f"the gateway closed its output: {self.process.errors.seen[-10:]}"
        message: Json = json.loads(line)
        if "id" in message and "method" not in message:
            self._responses[message["id"]] = message
        else:
            self._handle(message)


@dataclass
class Stream:
    """A request under way over HTTP, and the messages that come in answer to it."""

    connection: HTTPConnection
    id: int | None = None
    _response: HTTPResponse | None = None

    def open(self) -> HTTPResponse:
        """Wait for the head of the response."""
        if self._response is None:
            self._response = self.connection.getresponse()
        return self._response

    def next(self) -> Json | None:
        """Return the next message; None after the last one."""
        response = self.open()
        if not (response.getheader("content-type") or "").startswith("text/event-stream"):
            body = response.read()
            return json.loads(body) if body else None
        end = time.monotonic() + WAIT_SECONDS  # a stream that is kept alive never times out by itself
        while line := response.readline():
            assert time.monotonic() < end, "nothing came on the stream"
            if line.startswith(b"data:") and line[5:].strip():
                found: Json = json.loads(line[5:])
                return found
        return None

    def close(self) -> None:
        """Go away."""
        if self._response is not None:
            self._response.close()
        self.connection.close()


@dataclass
class HttpClient(Client):
    """Speaks to a URL, request by request."""

    url: str
    modern: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    _session: dict[str, str] = field(default_factory=dict)
    _streams: list[Stream] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.modern:
            declared = {"protocolVersion": HANDSHAKE, "capabilities": self.capabilities, "clientInfo": INFO}
            stream = self.begin("initialize", declared)
            name = stream.open().getheader("mcp-session-id") or ""
            self.handshake_result = self.finish(stream)["result"]
            self._session = {"mcp-session-id": name, "mcp-protocol-version": HANDSHAKE}
            self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message: Json) -> None:
        """Send what is not answered."""
        self._send(message, {})

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {"accept": "application/json, text/event-stream", **self._session, **self.headers, **headers}

    def _send(self, message: Json, headers: Mapping[str, str]) -> httpx2.Response:
        return httpx2.post(self.url, json=message, headers=self._headers(headers), timeout=WAIT_SECONDS)

    def _request(self, method: str, params: Json) -> tuple[Json, dict[str, str]]:
        """Return a request, and the headers that belong to it."""
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        if not self.modern:
            return message, {}
        message["params"] = add_envelope(params, self.capabilities)
        routing = {"mcp-protocol-version": MODERN, "mcp-method": method}
        if name := params.get("name", params.get("uri", params.get("taskId"))):
            routing["mcp-name"] = name
        return message, routing

    def post(self, method: str, params: Json) -> httpx2.Response:
        """Send a request; return the HTTP response."""
        return self._send(*self._request(method, params))

    def connect(self) -> HTTPConnection:
        """Return a connection, which is opened when it is used."""
        return HTTPConnection(urlsplit(self.url).netloc, timeout=WAIT_SECONDS)

    def _open(
        self, verb: str, message: Json | None, headers: Mapping[str, str], connection: HTTPConnection | None = None
    ) -> Stream:
        where = urlsplit(self.url)
        stream = Stream(connection or self.connect())
        self._streams.append(stream)
        body = None if message is None else json.dumps(message)
        sent = {"content-type": "application/json", **self._headers(headers)}
        stream.connection.request(verb, where.path, body, sent)
        return stream

    def begin(self, method: str, params: Json, connection: HTTPConnection | None = None) -> Stream:
        """Send a request, on a connection of its own if none is given; do not wait."""
        message, headers = self._request(method, params)
        stream = self._open("POST", message, headers, connection)
        stream.id = message["id"]
        return stream

    def finish(self, stream: Stream) -> Json:
        """Read until the response comes."""
        response = self._read(stream, lambda message: message.get("id") == stream.id and "method" not in message)
        stream.close()
        return response

    def _read(self, stream: Stream, wanted: Callable[[Json], bool]) -> Json:
        """Take what comes on a stream until the message that is wanted."""
        while (message := stream.next()) is not None:
            if wanted(message):
                return message
            self._handle(message)
        raise AssertionError(f"the stream has ended; the messages: {self.messages[-10:]}")

    def handle_one(self, stream: Stream) -> None:
        """Take the next message on a stream."""
        message = stream.next()
        assert message is not None, "the stream has ended"
        self._handle(message)

    def cancel(self, stream: Stream) -> None:
        """Say that a request's answer is no longer wanted, as the era does."""
        if self.modern:
            stream.close()
        else:
            self.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": stream.id}})

    def listen(self, **wanted: Any) -> Stream:
        """Open the stream of what belongs to no request; a modern client says what it wants to hear."""
        if self.modern:
            stream = self.begin("subscriptions/listen", {"notifications": wanted})
            self.wait_for_notification("notifications/subscriptions/acknowledged", stream)
        else:
            stream = self._open("GET", None, {})
            stream.open()
        return stream

    def wait_for_notification(self, method: str, stream: Stream) -> Json:
        """Read a stream until a notification of this kind comes; return its params."""
        message = self._read(stream, lambda message: message.get("method") == method and "id" not in message)
        self.messages.append(message)
        found: Json = message.get("params", {})
        return found

    def close(self) -> None:
        """Close all streams, and end the session if there is one."""
        for stream in self._streams:
            stream.close()
        self._streams.clear()
        if self._session:
            httpx2.delete(self.url, headers=self._headers({}), timeout=WAIT_SECONDS)
