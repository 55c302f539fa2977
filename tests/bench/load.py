"""Runs the load client: it connects and warms up, runs when told to, and says what it measured."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

from .binaries import program

Json = dict[str, Any]


class Load:
    """One run of the load client. `failed` says why it could not begin."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._popen = subprocess.Popen(
            [program("load"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        heading, said = self._read()
        self.failed = "" if heading == "READY" else str(said)
        self.ready: Json = said if heading == "READY" else {}

    def _read(self) -> tuple[str, Any]:
        assert self._popen.stdout is not None
        heading, _, said = self._popen.stdout.readline().partition(" ")
        return (heading, json.loads(said)) if said else ("", "the load client ended without a word")

    def run(self) -> Json:
        """Run the calls; return what was measured."""
        assert self._popen.stdin is not None
        self._popen.stdin.write("go\n")
        self._popen.stdin.flush()
        heading, said = self._read()
        return dict(said) if heading == "RESULT" else {"failed": str(said)}

    def end(self) -> None:
        """Close the connections, and end the program that was started over stdio."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.close()
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self._popen.send_signal(signal.SIGKILL)
            self._popen.wait()
        self._popen.stdout.close()
