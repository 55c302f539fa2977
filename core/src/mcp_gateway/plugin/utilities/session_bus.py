"""The session bus of Linux, by which keyrings are reached."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ADDRESS = "DBUS_SESSION_BUS_ADDRESS"
_RUNTIME_FOLDERS = Path("/run/user")


def name_session_bus() -> None:
    """Name the session bus in the environment, if it is not yet.

    Programs that start the gateway often do not hand on the variable that says where it is.
    """
    if sys.platform != "linux" or _ADDRESS in os.environ:
        return
    socket = _RUNTIME_FOLDERS / str(os.getuid()) / "bus"
    if socket.is_socket():
        os.environ[_ADDRESS] = f"unix:path={socket}"
