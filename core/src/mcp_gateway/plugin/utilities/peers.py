"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import os
import socket
import struct
import sys

_ROOT = 0


def is_own_user(peer: socket.socket) -> bool:
    """Whether the peer of a socket is this user, or the administrator.

    It is true where the system does not tell.
    """
    try:
        return find_peer_user(peer) in {None, _ROOT, _own_user()}
    except OSError:  # it has left
        return False


def find_peer_user(peer: socket.socket) -> int | None:
    """Return the user id of the peer of a Unix socket.

    None where the system does not tell.
    """
    if peer.family != getattr(socket, "AF_UNIX", None) or not hasattr(socket, "SO_PEERCRED"):
        return None
    with socket.socket(fileno=os.dup(peer.fileno())) as real:  # uvloop's has not all of the methods
        credentials = real.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", credentials)[1]
    return user


def _own_user() -> int | None:
    return os.getuid() if sys.platform != "win32" else None
