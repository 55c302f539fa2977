"""The shared gateway of a window: found, or else started."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_gateway_cli.shared.errors import WindowError
from mcp_gateway_cli.shared.fingerprint import SHARED
from mcp_gateway_cli.shared.places import Places, open_log

if TYPE_CHECKING:
    import subprocess

START_SECONDS = 30.0
"""How long a gateway may take from its start until it listens, or another window for that."""

_GREETING_SECONDS = 15.0
_MAX_GREETING = 4096
_PAUSE_SECONDS = 0.02
_LAST_BYTES = 2000


def connect_gateway(places: Places, environ: Mapping[str, str]) -> socket.socket:
    """Return a connection to the gateway, which is started if need be.

    Windows that come at the same time start one.

    Raises:
        WindowError: it does not start, does not answer, or refuses.

    """
    if (found := _connect(places.socket)) is not None:
        return found
    end = time.monotonic() + START_SECONDS
    with _lock(places.lock, end):
        return _connect(places.socket) or _start(places, environ, end)


def _start(places: Places, environ: Mapping[str, str], end: float) -> socket.socket:
    log = open_log(places.log)
    try:
        begin = os.fstat(log).st_size
        process = _spawn(places, environ, log)
    finally:
        os.close(log)
    while time.monotonic() < end:
        if (found := _connect(places.socket)) is not None:
            return found
        if (code := process.poll()) is not None:
            lines = _read_last_lines(places.log, begin)
            raise WindowError(f"the shared gateway ended as it started, with exit code {code}: {lines} ({places.log})")
        time.sleep(_PAUSE_SECONDS)
    process.terminate()
    raise WindowError(f"the shared gateway did not listen within {START_SECONDS:g} seconds; its log: {places.log}")


def _spawn(places: Places, environ: Mapping[str, str], log: int) -> subprocess.Popen[bytes]:
    import subprocess  # slow to import, and not needed where a gateway runs

    kept = {name: value for name, value in environ.items() if name != SHARED}
    ours = {"TRANSPORT": "shared", "SHARED_SOCKET": str(places.socket), "SHARED_LOG": str(places.log)}
    return subprocess.Popen(
        # -P: nothing is imported from the working directory, which may be a stranger's repository.
        [sys.executable, "-P", "-m", "mcp_gateway.main"],
        env={**kept, **{f"GATEWAY_{name}": value for name, value in ours.items()}},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _connect(path: Path) -> socket.socket | None:
    """Return a connection to a gateway that has greeted, if any."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_GREETING_SECONDS)
    try:
        connection.connect(os.fspath(path))
        greeting = _read_greeting(connection)
    except (FileNotFoundError, ConnectionError):  # none, a killed one, or one that has just ended
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise WindowError(f"the shared gateway at {path} does not answer: {error}") from None
    if "refused" in greeting:
        connection.close()
        raise WindowError(f"the shared gateway refuses: {greeting['refused']}")
    connection.settimeout(None)
    return connection


def _read_greeting(connection: socket.socket) -> dict[str, object]:
    """Read the first line; the gateway sends nothing after it unasked."""
    line = b""
    while not line.endswith(b"\n"):
        received = connection.recv(1)
        if not received:
            raise ConnectionResetError
        line += received
        if len(line) > _MAX_GREETING:
            break
    with suppress(ValueError):
        greeting = json.loads(line)
        if isinstance(greeting, dict) and greeting.get("shared") == 1:
            return greeting
    raise OSError("what listens there is no gateway of this version")


@contextmanager
def _lock(path: Path, end: float) -> Iterator[None]:
    """Hold the lock under which a gateway is started.

    Its file is removed with it: who waits for that takes a new one.
    """
    held = _acquire(path, end)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(held)


def _acquire(path: Path, end: float) -> int:
    import fcntl

    while time.monotonic() < end:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(opened), path.stat()):
                return opened
        os.close(opened)
        time.sleep(_PAUSE_SECONDS)
    raise WindowError(f"another window holds {path} and starts no gateway")


def _read_last_lines(log: Path, begin: int) -> str:
    with suppress(OSError), log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(begin, size - _LAST_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
        return "; ".join(line for line in lines[-3:] if line.strip()) or "it said nothing"
    return "it said nothing"
