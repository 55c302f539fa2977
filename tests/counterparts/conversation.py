"""A conversation of the handshake era with a process, by its pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

from ..bench.environments import Unavailable

Json = dict[str, Any]
SECONDS = 120
"""How long an answer may take."""

CLIENT = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "client", "version": "1"},
}
LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}


class Conversation:
    """Asks one request after the other."""

    def __init__(self, writer: IO[str], reader: IO[str]) -> None:
        self._writer = writer
        self._lines: Queue[str] = Queue()
        self._number = 0
        self._changes = 0
        Thread(target=self._read, args=[reader], daemon=True).start()

    def begin(self) -> Json:
        """Shake hands; return what the server says of itself."""
        result = self.ask("initialize", CLIENT)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return result

    def ask(self, method: str, params: Json) -> Json:
        """Send a request; return what its response has beside the id."""
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        while True:
            message = self._next_message(method)
            if message.get("id") == self._number and "method" not in message:
                return {key: message[key] for key in ("result", "error") if key in message}

    def list_items(self, method: str) -> list[Json]:
        """Return all pages of a list; none of what a server does not have."""
        found: list[Json] = []
        params: Json = {}
        while True:
            result = self.ask(method, params).get("result") or {}
            found += result.get(LISTS[method]) or []
            if not result.get("nextCursor"):
                return found
            params = {"cursor": result["nextCursor"]}

    def wait_for_items(self, method: str, count: int) -> list[Json]:
        """Return a list as soon as it has so many items; as it is, if no change is announced in time.

        A gateway lists what its servers have as they come.
        """
        while True:
            changes = self._changes
            items = self.list_items(method)
            if len(items) >= count:
                return items
            try:
                while self._changes == changes:
                    self._next_message(f"a change after {method}")
            except Unavailable:
                return items

    def _next_message(self, awaited: str) -> Json:
        try:
            line = self._lines.get(timeout=SECONDS)
        except Empty:
            raise Unavailable(f"no answer to {awaited} within {SECONDS} s") from None
        if not line:
            raise Unavailable(f"it ended before it answered {awaited}")
        try:
            message = json.loads(line)
        except ValueError:
            return {}  # some servers greet
        if not isinstance(message, dict):
            return {}
        self._changes += str(message.get("method")).endswith("/list_changed")
        return message

    def _send(self, message: Json) -> None:
        try:
            self._writer.write(json.dumps(message) + "\n")
            self._writer.flush()
        except OSError as error:
            raise Unavailable(f"it has ended: {error}") from None

    def _read(self, reader: IO[str]) -> None:
        for line in reader:
            self._lines.put(line)
        self._lines.put("")


@contextmanager
def open_conversation(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Conversation]:
    """Start a process and shake hands; at the end it and its children are ended."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        errors="replace",
        cwd=folder,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            conversation = Conversation(process.stdin, process.stdout)
            conversation.begin()
            yield conversation
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(OSError):
        process.stdin.close()  # type: ignore[union-attr]
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
