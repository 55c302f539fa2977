"""The working directory's file of servers, and the trust in it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mcp_gateway.config.sources import find_user_file, open_trust_store
from mcp_gateway.config.trust import FILE_NAME, Trust
from mcp_gateway.plugin import ConfigError


def judge_file(file: Path) -> Trust:
    """Return the trust status of a file, unknown without a home."""
    try:
        return open_trust_store().judge(file)
    except ConfigError:
        return Trust.UNKNOWN


def is_own_file(file: Path) -> bool:
    """Whether a file is the user's own file of servers."""
    user_file = find_user_file()
    with suppress(OSError):
        return user_file is not None and user_file.samefile(file)
    return False


def keep_trust(path: Path, before: bytes | None, after: bytes) -> None:
    """Trust what a command wrote into a trusted or new file.

    That is, into the file of the working directory: others are read without trust.
    """
    file = _find_folder_file(path)
    if file is None:
        return
    with suppress(ConfigError):  # there is no home, or nothing can be written in it: it stays untrusted
        store = open_trust_store()
        if before is None or store.is_trusted(file, before):
            store.add(file, after)


def is_distrusted(path: Path) -> bool:
    """Whether a file is one that gateways over stdio here refuse."""
    file = _find_folder_file(path)
    return file is not None and judge_file(file) is not Trust.TRUSTED


def _find_folder_file(path: Path) -> Path | None:
    """Return the working directory's file, if a path leads to it."""
    with suppress(OSError):  # the working directory has been removed
        file = Path.cwd().resolve() / FILE_NAME
        if path.name == FILE_NAME and path.parent.resolve() == file.parent and not is_own_file(file):
            return file
    return None
