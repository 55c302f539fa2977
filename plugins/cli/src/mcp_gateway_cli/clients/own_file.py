"""The user's own file of servers, and how programs find it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mcp_gateway.config.sources import SERVERS, config_folder, state_folder
from mcp_gateway.config.trust import FILE_NAME
from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError

_KEYRING = "PYTHON_KEYRING_BACKEND"
"""The variable that chooses a keyring."""


def find_own_file(context: ControlContext) -> Path:
    """Return the user's file of servers, or the named one."""
    return find_named_file(context) or config_folder() / FILE_NAME


def find_named_file(context: ControlContext) -> Path | None:
    """Return the file of servers that the person named, if any.

    What an `.env` in the working directory says does not count.
    """
    named = {**os.environ, **context.overrides}.get(SERVERS)
    return Path(named).absolute() if named else None


def find_variables(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that lead a gateway to its file and keyring.

    Programs with windows do not have what a shell sets, such as XDG_CONFIG_HOME.
    """
    moved = environ.get("XDG_CONFIG_HOME")
    is_default = path == config_folder() / FILE_NAME
    kept = {name: environ[name] for name in (_KEYRING,) if environ.get(name)}
    if is_default and (not moved or Path(moved) == Path.home() / ".config"):
        return kept
    return {SERVERS: str(path), **kept}


@contextmanager
def init_lock() -> Iterator[None]:
    """Let only one process of this user change programs' files.

    Raises:
        ConfigError: another one does already.

    """
    folder = state_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "init.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{folder}: the state folder cannot be used: {error.strerror}") from None
    try:
        if not _lock(descriptor):
            raise ConfigError("another init, import, connect or undo of yours is running; wait for its end")
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    if os.name == "nt":
        import msvcrt

        with suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            return True
        return False
    import fcntl

    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
