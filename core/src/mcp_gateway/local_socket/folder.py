"""The runtime folder: where gateways of this user leave their addresses.

Each has a file named by its process: `PID.sock`, a Unix socket, or `PID.json`, a port of the loopback interface and a
key. Only this user may read the folder.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NAME = "mcp-orchestration-gateway"
_KEY = re.compile(r"[0-9a-f]{64}")
_MAX_PID = 2**31 - 1
_MAX_PORT = 2**16 - 1
_MAX_FILE = 4096
_LONGEST_PATH = 100
"""A Unix socket's path has at most 108 bytes on Linux, 104 on macOS."""


class UnsafeFolder(Exception):
    """An unsafe runtime folder, or none at all.

    The message says why: for example, others could write to it.
    """


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a gateway: a socket, or port and key."""

    pid: int
    path: Path
    port: int | None = None
    key: str = ""

    def remove(self) -> None:
        """Remove the file; it may be gone already."""
        self.path.unlink(missing_ok=True)

    def is_alive(self) -> bool:
        """Whether its process runs, as this user."""
        if sys.platform == "win32":
            return _is_alive_on_windows(self.pid)
        try:
            os.kill(self.pid, 0)
        except OSError:  # it has ended, or its number is now that of somebody else's process
            return False
        return True


def runtime_folder() -> Path:
    """Return the folder, without making it."""
    from platformdirs import user_runtime_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that XDG_RUNTIME_DIR is unsafe: then there is another one
        return user_runtime_path(_NAME, appauthor=False)


def open_folder() -> Path:
    """Return the runtime folder, made if it was missing.

    Raises:
        UnsafeFolder: it is a link, belongs to somebody else, or others may write to it.

    """
    folder = runtime_folder()
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        check_folder(folder)
    except OSError as error:
        raise UnsafeFolder(f"{folder}: {error.strerror or error}") from None
    return folder


def check_folder(folder: Path) -> None:
    """Raise `UnsafeFolder` if other users may write or read."""
    if os.name != "posix":
        return  # there it is in the user's profile
    for place, forbidden, owners in ((folder.parent, 0o022, {0, os.getuid()}), (folder, 0o077, {os.getuid()})):
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise UnsafeFolder(f"{place} is no folder")
        if found.st_uid not in owners:
            raise UnsafeFolder(f"{place} belongs to another user")
        if found.st_mode & forbidden:
            raise UnsafeFolder(f"others may use {place}: chmod go-w it, or set XDG_RUNTIME_DIR")


def socket_path(folder: Path) -> Path | None:
    """Return the path of this process's socket.

    None if it would be too long.
    """
    path = folder / f"{os.getpid()}.sock"
    return path if len(os.fsencode(path)) <= _LONGEST_PATH else None


def write_port(folder: Path, port: int, key: str) -> Endpoint:
    """Write the file that says at which port this process listens."""
    from mcp_gateway.plugin import write_file  # slow to import, and Unix sockets do not need it

    path = folder / f"{os.getpid()}.json"
    write_file(path, [json.dumps({"port": port, "key": key}).encode()])
    return Endpoint(os.getpid(), path, port, key)


def list_endpoints() -> Iterator[Endpoint]:
    """Yield what the runtime folder has, whether or not it is stale."""
    folder = runtime_folder()
    try:
        check_folder(folder)
        paths = sorted(folder.iterdir())
    except (OSError, UnsafeFolder):
        return
    for path in paths:
        if (pid := _read_pid(path.stem)) and (found := _read(path, pid)) is not None:
            yield found


def remove_leftovers(folder: Path) -> None:
    """Remove the files of a process that had this one's number before."""
    for suffix in (".sock", ".json"):
        (folder / f"{os.getpid()}{suffix}").unlink(missing_ok=True)


def _read_pid(text: str) -> int:
    """Return a process's number, or 0 if no gateway wrote it."""
    pid = int(text) if text.isdecimal() and text.isascii() else 0
    return pid if pid <= _MAX_PID and str(pid) == text else 0


def _read(path: Path, pid: int) -> Endpoint | None:
    """Return the address that a file has; None if it is none."""
    try:
        mode = path.lstat().st_mode
        if path.suffix == ".sock" and hasattr(socket, "AF_UNIX"):
            return Endpoint(pid, path) if stat.S_ISSOCK(mode) else None
        if path.suffix != ".json" or not stat.S_ISREG(mode):
            return None
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_FILE))
    except (OSError, ValueError, RecursionError):
        return None
    match content:
        case {"port": int(port), "key": str(key)} if 0 < port <= _MAX_PORT and _KEY.fullmatch(key):
            return Endpoint(pid, path, port, key)
    return None


def _is_alive_on_windows(pid: int) -> bool:
    """Whether a process runs; `os.kill` would send it Ctrl-C."""
    if sys.platform == "win32":
        import ctypes

        synchronize, wait_timeout = 0x00100000, 0x102
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        process = kernel.OpenProcess(synchronize, False, pid)  # noqa: FBT003  # of the system
        if process:
            try:
                return bool(kernel.WaitForSingleObject(ctypes.c_void_p(process), 0) == wait_timeout)
            finally:
                kernel.CloseHandle(ctypes.c_void_p(process))
    return False
