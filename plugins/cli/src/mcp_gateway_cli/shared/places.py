"""The places of a shared gateway: socket, lock and log."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mcp_gateway.local_socket.folder import UnsafeFolder, open_folder
from mcp_gateway_cli.shared.errors import WindowError
from mcp_gateway_cli.shared.fingerprint import compute_fingerprint

_NAME = "mcp-orchestration-gateway"
_LONGEST_PATH = 100
"""A Unix socket's path has at most 108 bytes on Linux, 104 on macOS."""
_LOGS = "shared-*.log"
_MAX_LOGS = 20
"""How many log files of gateways are kept."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the gateway of a fingerprint listens, is started, and logs."""

    socket: Path
    lock: Path
    log: Path


def find_places(environ: Mapping[str, str]) -> Places:
    """Return the places for a window with this environment.

    Raises:
        WindowError: there can be none.

    """
    if not hasattr(socket, "AF_UNIX"):
        raise WindowError("GATEWAY_SHARED: this system has no Unix sockets, by which windows share a gateway; unset it")
    try:
        runtime, folder = open_folder(), Path.cwd().resolve()
    except (UnsafeFolder, OSError) as error:
        raise WindowError(f"GATEWAY_SHARED: no gateway can be shared here: {error}") from None
    users = _find_user_state()
    name = f"shared-{compute_fingerprint(environ, folder, users)}"
    path = runtime / f"{name}.sock"
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise WindowError(f"GATEWAY_SHARED: {path} is too long for a socket; set XDG_RUNTIME_DIR to a shorter folder")
    return Places(path, runtime / f"{name}.lock", _find_log_folder(environ, users) / f"{name}.log")


def find_last_log(environ: Mapping[str, str]) -> Path | None:
    """Return the log that a shared gateway wrote to last, if any."""
    with suppress(OSError, WindowError):
        logs = _find_log_folder(environ, _find_user_state()).glob(_LOGS)
        return max(logs, key=lambda found: found.stat().st_mtime, default=None)
    return None


def open_log(path: Path) -> int:
    """Open a log file to append to; remove the oldest others.

    Raises:
        WindowError: it cannot be written.

    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise WindowError(f"the log of the shared gateway cannot be written: {path}: {error.strerror}") from None
    with suppress(OSError):
        by_age = sorted(path.parent.glob(_LOGS), key=lambda found: found.stat().st_mtime, reverse=True)
        for old in by_age[_MAX_LOGS:]:
            old.unlink()
    return opened


def _find_log_folder(environ: Mapping[str, str], users: Path) -> Path:
    named = Path(environ.get("GATEWAY_STATE_DIR", ""))
    return (named if named.is_absolute() else users) / "shared"


def _find_user_state() -> Path:
    from platformdirs import user_state_path

    try:
        return user_state_path(_NAME, appauthor=False)
    except RuntimeError:
        raise WindowError("environment: HOME: there is no home folder; set HOME to a whole path") from None
