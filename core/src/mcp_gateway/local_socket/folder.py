"""The runtime folder: where gateways of this user leave their addresses.

Each has a file named by its process: `PID.sock`, a Unix socket, or `PID.json`, a port of the loopback interface and a
key. Only this user may read the folder.
"""

from __future__ import annotations

import json
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mcp_gateway.plugin import write_file

_NAME = "mcp-orchestration-gateway"
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
        if path.stem.isdecimal() and (found := _read(path)) is not None:
            yield found


def _read(path: Path) -> Endpoint | None:
    pid = int(path.stem)
    if path.suffix == ".sock":
        return Endpoint(pid, path)
    try:
        content = json.loads(path.read_bytes()) if path.suffix == ".json" else None
        return None if content is None else Endpoint(pid, path, int(content["port"]), str(content["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
