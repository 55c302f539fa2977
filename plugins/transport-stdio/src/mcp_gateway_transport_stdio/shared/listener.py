"""The socket at which a shared gateway listens for windows.

It has a fixed place, which a killed gateway leaves behind: whoever starts a gateway for it holds a lock meanwhile.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcp_gateway.plugin import ConfigError

_BACKLOG = 128
_BY_HAND = "it is for windows to start: set GATEWAY_SHARED=1 in a client's configuration, and no GATEWAY_TRANSPORT"


@contextmanager
def open_listener(path: Path | None) -> Iterator[socket.socket]:
    """Listen at a place that only this user can reach.

    At the end the place is made free before the socket is closed: who comes then finds nothing, not a closed door.

    Raises:
        ConfigError: there is no such place, or others could reach it.

    """
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigError("environment: GATEWAY_TRANSPORT: this system has no Unix sockets, which 'shared' needs")
    if path is None:
        raise ConfigError(f"environment: GATEWAY_TRANSPORT: 'shared' needs GATEWAY_SHARED_SOCKET; {_BY_HAND}")
    _check_folder(path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.setblocking(False)  # noqa: FBT003  # of the standard library
        try:
            path.unlink(missing_ok=True)
            listening.bind(os.fspath(path))
            path.chmod(0o600)
            listening.listen(_BACKLOG)
        except OSError as error:
            raise ConfigError(f"environment: GATEWAY_SHARED_SOCKET: {path}: {error.strerror or error}") from None
        bound = path.stat().st_ino
        try:
            yield listening
        finally:
            _remove(path, bound)


def _check_folder(path: Path) -> None:
    """Refuse a folder that is not this user's alone."""
    try:
        found = path.parent.lstat()
    except OSError as error:
        raise ConfigError(f"environment: GATEWAY_SHARED_SOCKET: {path.parent}: {error.strerror or error}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigError(f"environment: GATEWAY_SHARED_SOCKET: {path.parent} must be a folder of yours alone (0700)")


def _remove(path: Path, inode: int) -> None:
    """Remove a socket, unless it is another gateway's by now."""
    with suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()
