"""The names of the secrets in a file: keyrings cannot list theirs.

Each name has the time of its last change: by that gateways that run see that there is another value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mcp_gateway.plugin import StorageError, VariableError, write_file

_LOCK_SECONDS = 5.0


def list_names() -> list[str]:
    """Return the names, in order.

    Raises:
        VariableError: the file cannot be read.

    """
    return sorted(_read(find_names_file()))


def add_name(name: str) -> None:
    """Add a name.

    Raises:
        VariableError: the file cannot be written.

    """
    with _lock() as path:
        _write(path, {**_read(path), name: datetime.now(UTC).isoformat()})


def remove_name(name: str) -> None:
    """Remove a name, if it is there.

    Raises:
        VariableError: the file cannot be written.

    """
    with _lock() as path:
        if name in (names := _read(path)):
            del names[name]
            _write(path, names)


def find_names_file() -> Path:
    """Return the path of the file.

    Raises:
        VariableError: there is no home folder.

    """
    from platformdirs import user_state_path

    try:
        return user_state_path("mcp-orchestration-gateway", appauthor=False) / "keyring-names.json"
    except RuntimeError:
        raise VariableError("there is no home folder for the names of secrets; set HOME to a whole path") from None


@contextmanager
def _lock() -> Iterator[Path]:
    """Keep other processes from writing meanwhile."""
    from filelock import FileLock, Timeout

    path = find_names_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            yield path
    except Timeout:
        raise VariableError(f"{path}: another process has not finished with it; try again") from None
    except OSError as error:
        raise VariableError(f"{path}: it cannot be written: {error.strerror or type(error).__name__}") from None


def _read(path: Path) -> dict[str, str]:
    try:
        names = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise VariableError(f"{path}: the names of secrets cannot be read; remove this file to start over") from None
    if isinstance(names, list):  # as it was before names had times
        return {name: "" for name in names if isinstance(name, str)}
    return {name: str(time) for name, time in names.items()} if isinstance(names, dict) else {}


def _write(path: Path, names: dict[str, str]) -> None:
    try:
        write_file(path, [json.dumps(names, indent=2, sort_keys=True).encode()])
    except StorageError as error:
        raise VariableError(str(error)) from None
