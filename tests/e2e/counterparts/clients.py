"""Clients in processes of their own, of whatever SDK, that do what a test says and report every event."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..support.gateways import WAIT_SECONDS, until

Json = dict[str, Any]
FOLDER = Path(__file__).parent

ANSWERS: Json = {
    "form": {"action": "accept", "content": {"name": "Ada"}},
    "url": {"action": "accept"},
    "sampling": {
        "role": "assistant",
        "model": "none",
        "content": {"type": "text", "text": "word"},
        "stopReason": "endTurn",
    },
    "roots": [{"uri": "file:///home/ada", "name": "home"}],
}
"""The answers of a client that can answer everything."""


class RefusedError(Exception):
    """What was ordered came to an error: `error` is what the client made of it."""

    def __init__(self, error: Json) -> None:
        super().__init__(json.dumps(error))
        self.error = error


@dataclass
class ClientProcess:
    """A client in a process of its own. `lines` are the events that it has reported."""

    popen: subprocess.Popen[str]
    log: Path
    lines: list[list[Any]] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as output:
            for line in output:
                self._keep(line)

    def _keep(self, line: str) -> None:
        self.lines.append(json.loads(line))

    def is_running(self) -> bool:
        """Fail if the client has ended."""
        assert self.popen.poll() is None, self.log.read_text(encoding="utf-8")
        return True

    def close(self) -> None:
        """Have the client end its session in order."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        assert self.popen.wait(WAIT_SECONDS) == 0, self.log.read_text(encoding="utf-8")
        self._reader.join(WAIT_SECONDS)

    @property
    def handshake_result(self) -> list[Any]:
        """The protocol version, and what the gateway said of itself."""
        return self.wait_for_event("greeted", lambda _: True)

    def begin(self, order: str, **arguments: Any) -> int:
        """Give an order; do not wait."""
        number = int(next(self._numbers))
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps([number, order, arguments]) + "\n")
        self.popen.stdin.flush()
        return number

    def finish(self, number: int) -> Any:
        """Wait for what comes of an order."""

        def found() -> Any:
            ended = (line for line in list(self.lines) if line[0] in ("result", "error") and line[1] == number)
            return self.is_running() and next(ended, None)

        heading, _, value = until(found, "an order is carried out")
        if heading == "error":
            raise RefusedError(value)
        return value

    def run(self, order: str, **arguments: Any) -> Any:
        """Give an order; return what comes of it."""
        return self.finish(self.begin(order, **arguments))

    def call(self, tool: str, **arguments: Any) -> Json:
        """Call a tool; return its result."""
        result: Json = self.run("call", name=tool, arguments=arguments)
        return result

    @contextmanager
    def with_answers(self, **answers: Json) -> Iterator[None]:
        """Answer differently inside."""
        self.run("answer", **answers)
        try:
            yield
        finally:
            self.run("answer", **{kind: ANSWERS[kind] for kind in answers})

    def cancel(self, number: int) -> None:
        """Give up an order."""
        self.begin("abandon", number=number)

    def events(self, heading: str, since: int = 0) -> list[list[Any]]:
        """Return the events under a heading."""
        return [line[1:] for line in self.lines[since:] if line[0] == heading]

    def wait_for_event(self, heading: str, wanted: Callable[[list[Any]], Any], since: int = 0) -> list[Any]:
        """Wait for an event under a heading that is wanted; return it."""
        found: list[Any] = until(
            lambda: next((event for event in self.events(heading, since) if wanted(event)), None),
            f"{heading} is reported",
        )
        return found


def start_client(stack: ExitStack, folder: Path, python: str, program: str, **settings: Any) -> ClientProcess:
    """Start a client, which ends when the stack is closed."""
    command = [python, "-W", "error", str(FOLDER / f"client_{program}.py"), json.dumps(settings)]
    log = folder / f"{program}-{len(list(folder.iterdir()))}.log"
    with log.open("w") as errors:
        popen = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        )
    stack.callback(popen.wait, WAIT_SECONDS)
    stack.callback(popen.kill)
    client = ClientProcess(popen, log)
    stack.callback(client.close)
    until(lambda: client.is_running() and client.events("ready"), f"{program} is connected")
    return client
