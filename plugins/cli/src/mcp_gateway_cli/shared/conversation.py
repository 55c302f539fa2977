"""What a window knows of the conversation between client and gateway.

No more than what another gateway needs to go on, and whom a gateway's end leaves without an answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

Id = int | str | float | None

MAX_SUBSCRIPTIONS = 1000
"""How many subscriptions are renewed."""

_OURS = "window-"
"""Begins the ids of the requests that a window sends itself."""

_LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resources",
}


class _Message(Struct):
    method: str | UnsetType = UNSET
    id: Id | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class _Named(Struct, rename="camel"):
    request_id: Id = None
    uri: str = ""


@dataclass(slots=True)
class Conversation:
    """The state of a conversation.

    `in_flight` has the client's requests without an answer, `asked` those of the gateway. `is_open` says whether a
    handshake was answered; a conversation of the modern era never is.
    """

    in_flight: set[Id] = field(default_factory=set)
    asked: set[Id] = field(default_factory=set)
    is_open: bool = False
    _lists: set[str] = field(default_factory=set)
    _handshake: Id | UnsetType = UNSET
    _initialize: bytes = b""
    _is_initialized: bool = False
    _level: bytes = b""
    _subscriptions: dict[str, bytes] = field(default_factory=dict)
    _renewals: set[Id] = field(default_factory=set)
    _asked_before: set[Id] = field(default_factory=set)
    _count: int = 0

    def on_client_line(self, line: bytes) -> bool:
        """Take note of a client's message; return whether to pass it on."""
        message = _parse(line)
        if message is None:
            return True
        if message.method is UNSET:
            return self._on_answer(None if message.id is UNSET else message.id)
        params = b"{}" if message.params is UNSET else bytes(message.params)
        if message.id is UNSET:
            self._on_notification(message.method, params)
        else:
            self.in_flight.add(message.id)
            self._on_request(message.method, message.id, params)
        return True

    def on_gateway_line(self, line: bytes) -> bool:
        """Take note of the gateway's message; return whether to pass it on."""
        message = _parse(line)
        if message is None or message.id is UNSET:
            if message is not None and message.method == "notifications/cancelled" and message.params is not UNSET:
                self.asked.discard(_parse_named(message.params).request_id)
            return True
        if message.method is not UNSET:
            self.asked.add(message.id)
            return True
        if message.id in self._renewals:
            self._renewals.discard(message.id)
            return False
        self.in_flight.discard(message.id)
        if message.id == self._handshake and message.error is UNSET:
            self.is_open, self._handshake = True, UNSET
        return True

    def _on_answer(self, request_id: Id) -> bool:
        """Return whether an answer is for this gateway.

        One for a gateway that has ended would be taken for an answer to the next.
        """
        if request_id in self.asked:
            self.asked.discard(request_id)
            return True
        is_late = request_id in self._asked_before
        self._asked_before.discard(request_id)
        return not is_late

    def _on_request(self, method: str, request_id: Id, params: bytes) -> None:
        match method:
            case "initialize":
                self._handshake, self._initialize = request_id, params
                self.is_open = self._is_initialized = False
                self._level, self._subscriptions = b"", {}
            case "logging/setLevel":
                self._level = params
            case "resources/subscribe" if len(self._subscriptions) < MAX_SUBSCRIPTIONS:
                self._subscriptions[_parse_named(params).uri] = params
            case "resources/unsubscribe":
                self._subscriptions.pop(_parse_named(params).uri, None)
            case _ if method in _LISTS:
                self._lists.add(_LISTS[method])

    def _on_notification(self, method: str, params: bytes) -> None:
        if method == "notifications/initialized":
            self._is_initialized = True
        elif method == "notifications/cancelled":
            self.in_flight.discard(_parse_named(params).request_id)

    def end(self, reason: str) -> bytes:
        """Return what the client is told when the gateway has ended.

        Requests under way are answered with an error, and those of the gateway taken back.
        """
        messages = [_encode("notifications/cancelled", requestId=asked, reason=reason) for asked in self.asked]
        messages += [encode_error(request_id, reason) for request_id in self.in_flight]
        self._asked_before |= self.asked
        self.in_flight, self.asked, self._renewals = set(), set(), set()
        return b"".join(messages)

    def renew_handshake(self) -> bytes:
        """Return the request that opens the conversation with another gateway."""
        return self._renew("initialize", self._initialize)

    def renew_state(self) -> bytes:
        """Return what follows the answer to the handshake."""
        initialized = [_encode("notifications/initialized")] if self._is_initialized else []
        level = [self._renew("logging/setLevel", self._level)] if self._level else []
        subscriptions = [self._renew("resources/subscribe", params) for params in self._subscriptions.values()]
        return b"".join([*initialized, *level, *subscriptions])

    def list_changes(self) -> bytes:
        """Return the `list_changed` notifications for what the client has listed."""
        return b"".join(_encode(f"notifications/{name}/list_changed") for name in sorted(self._lists))

    def _renew(self, method: str, params: bytes) -> bytes:
        self._count += 1
        request_id = f"{_OURS}{self._count}"
        self._renewals.add(request_id)
        return b'{"jsonrpc":"2.0","id":"%b","method":"%b","params":%b}\n' % (
            request_id.encode(),
            method.encode(),
            params,
        )


def encode_error(request_id: Id, reason: str) -> bytes:
    """Return the answer to a request that no gateway answers."""
    answer = {"jsonrpc": "2.0", "id": request_id, "error": {"code": -32000, "message": reason}}
    return msgspec.json.encode(answer) + b"\n"


def _encode(method: str, **params: object) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}) + b"\n"


_MESSAGES = msgspec.json.Decoder(_Message)
_NAMED = msgspec.json.Decoder(_Named)


def _parse(line: bytes) -> _Message | None:
    """Parse the envelope; None if it is none, which the gateway says."""
    try:
        return _MESSAGES.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _parse_odd(line)


def _parse_odd(line: bytes) -> _Message | None:
    """Parse what only Python's parser takes: halves of surrogate pairs."""
    try:
        content = json.loads(line)
        if not isinstance(content, dict):
            return None
        envelope = {name: content[name] for name in ("id", "method") if name in content}
        found = _MESSAGES.decode(json.dumps({**envelope, **({"error": None} if "error" in content else {})}))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    if "params" in content:
        found.params = Raw(json.dumps(content["params"]).encode())
    return found


def _parse_named(params: bytes | Raw) -> _Named:
    try:
        return _NAMED.decode(params)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Named()
