"""The user's trust in the file of servers of a folder.

It is given for exactly the content that the file has at that time.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from mcp_gateway.plugin import ConfigError, StorageError, write_file
from mcp_gateway.plugin.utilities.atomic_files import describe_read_error

FILE_NAME = "server_config.json"
MAX_FILE_BYTES = 16 << 20


class Trust(StrEnum):
    """The trust status of the file of servers in a folder."""

    ABSENT = "absent"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Trusted files, each in a record file of its own.

    With one record each, concurrent processes cannot overwrite each other's.
    """

    folder: Path

    def judge(self, file: Path) -> Trust:
        """Return the trust status of a file with its present content."""
        if not os.path.lexists(file):
            return Trust.ABSENT
        if self._digest(file) is None:  # a file without a record is not even opened: it may be a pipe
            return Trust.UNKNOWN
        try:
            return Trust.TRUSTED if self.is_trusted(file, read_whole(file)) else Trust.CHANGED
        except ConfigError:
            return Trust.CHANGED

    def is_trusted(self, file: Path, content: bytes) -> bool:
        """Whether exactly this content of a file is trusted."""
        return self._digest(file) == sha256(content).hexdigest()

    def add(self, file: Path, content: bytes) -> None:
        """Trust this content of a file from now on.

        Raises:
            ConfigError: the record cannot be written.

        """
        # With the path, because the record's name is only a hash of it, and `list_files` needs it.
        record = {"file": str(file), "sha256": sha256(content).hexdigest()}
        try:
            write_file(self._record(file), [json.dumps(record).encode()])
        except StorageError as error:
            raise ConfigError(f"{self.folder}: trust cannot be remembered there: {error}") from None

    def remove(self, file: Path) -> bool:
        """Remove the trust in a file; return whether it was trusted.

        Raises:
            ConfigError: the record cannot be removed.

        """
        try:
            self._record(file).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ConfigError(f"{self._record(file)}: it cannot be removed: {error.strerror or error}") from None
        return True

    def list_files(self) -> list[Path]:
        """Return the trusted files, sorted by path."""
        records = [_read_record(path) for path in self.folder.glob("*.json")]
        return sorted(Path(record["file"]) for record in records if "file" in record)

    def _digest(self, file: Path) -> str | None:
        record = _read_record(self._record(file))
        return record.get("sha256") if record.get("file") == str(file) else None

    def _record(self, file: Path) -> Path:
        return self.folder / f"{sha256(os.fsencode(file)).hexdigest()}.json"


def read_whole(file: Path) -> bytes:
    """Return the content of a regular file, if not too large.

    Raises:
        ConfigError: the file cannot be read, is not a regular file, or is too large.

    """
    try:
        if not file.is_file():
            raise ConfigError(f"{file}: there is no such file")
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{file}: it is larger than {MAX_FILE_BYTES >> 20} MiB")
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: it cannot be read: {describe_read_error(error)}") from None


def _read_record(path: Path) -> dict[str, str]:
    """Return the record of a file, empty if unreadable."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {key: value for key, value in record.items() if isinstance(value, str)}
