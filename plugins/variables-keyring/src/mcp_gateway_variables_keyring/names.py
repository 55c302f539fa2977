"""The names of the secrets, in a file: keyrings cannot list theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcp_gateway.plugin import StorageError, VariableError, write_file

_LOCK_SECONDS = 5.0


def list_names() -> list[str]:
    """Return the names, in order.

    Raises:
        VariableError: the file cannot be read.

    """
    return _read(_find_file())


def add_name(name: str) -> None:
    """Add a name.

    Raises:
        VariableError: the file cannot be written.

    """
    with _lock() as path:
        _write(path, {*_read(path), name})


def remove_name(name: str) -> None:
    """Remove a name, if it is there.

    Raises:
        VariableError: the file cannot be written.

    """
    with _lock() as path:
        if name in (names := _read(path)):
            _write(path, {*names} - {name})


def _find_file() -> Path:
    from platformdirs import user_state_path

    try:
        return user_state_path("mcp-orchestration-gateway", appauthor=False) / "keyring-names.json"
    except RuntimeError:
        raise VariableError("there is no home folder for the names of secrets; set HOME to a whole path") from None


@contextmanager
def _lock() -> Iterator[Path]:
    """Keep other processes from writing meanwhile."""
    from filelock import FileLock, Timeout

    path = _find_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            yield path
    except Timeout:
        raise VariableError(f"{path}: another process has not finished with it; try again") from None
    except OSError as error:
        raise VariableError(f"{path}: it cannot be written: {error.strerror or type(error).__name__}") from None


def _read(path: Path) -> list[str]:
    try:
        names = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        raise VariableError(f"{path}: the names of secrets cannot be read; remove this file to begin anew") from None
    return sorted(name for name in names if isinstance(name, str)) if isinstance(names, list) else []


def _write(path: Path, names: set[str]) -> None:
    try:
        write_file(path, [json.dumps(sorted(names)).encode()])
    except StorageError as error:
        raise VariableError(str(error)) from None
