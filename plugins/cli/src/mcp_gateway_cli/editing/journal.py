"""The journal of edits, with the former content of each file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from mcp_gateway.config.sources import state_folder
from mcp_gateway.plugin import StorageError, write_file
from mcp_gateway.plugin.utilities.atomic_files import describe_read_error, describe_write_error
from mcp_gateway_cli.editing.errors import EditError, FileChanged

_RECORD, _BEFORE = "edit.json", "before"
_MAX_EDITS = 500


@dataclass(frozen=True, slots=True)
class Batch:
    """One run of a command: what its edits have in common.

    * `name`: its name in the journal, which begins with the verb.
    * `targets`: the servers or programs that it was about.
    * `configuration`: the file of servers that it was for.
    """

    name: str = ""
    targets: tuple[str, ...] = ()
    configuration: Path | None = None

    @property
    def verb(self) -> str:
        """The command that was run."""
        return self.name.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of one file.

    * `name`: its name in the journal, which begins with the time.
    * `path`: the file, as it was named.
    * `batch`: the run of a command that made it.
    * `digest`: the SHA-256 of what was written.
    * `backup`: where the former content is kept; None if there was no file.
    * `secrets`: the names of secrets that went into the keyring with it.
    * `mode`: the rights that the file had; None if there was none, or if they are not known.
    """

    name: str
    path: Path
    batch: Batch
    time: datetime
    digest: str
    backup: Path | None
    secrets: tuple[str, ...] = ()
    mode: int | None = None

    def read_backup(self) -> bytes | None:
        """Return the former content; None if there was no file.

        Raises:
            EditError: it cannot be read any more.

        """
        try:
            return self.backup.read_bytes() if self.backup else None
        except OSError as error:
            raise EditError(f"{self.backup}: the backup cannot be read: {error.strerror}") from None


NO_BATCH = Batch()
"""The run of edits that belong to no command."""


@dataclass(frozen=True, slots=True)
class Journal:
    """A folder that keeps the former content of edited files.

    Only the user can read it.
    """

    folder: Path

    def record(
        self, path: Path, before: bytes | None, after: bytes, batch: Batch = NO_BATCH, secrets: Sequence[str] = ()
    ) -> Edit:
        """Keep what is in a file, before it is edited.

        Raises:
            StorageError: it cannot be kept.

        """
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S.%fZ}-{token_hex(3)}"
        folder = self.folder / name
        place, digest = Path(os.path.abspath(path)), _digest(after)  # noqa: PTH100  # a link must stay one
        backup = folder / _BEFORE if before is not None else None
        mode = _read_mode(path) if before is not None else None
        record = {
            "path": str(place),
            "batch": batch.name,
            "targets": list(batch.targets),
            "configuration": str(batch.configuration) if batch.configuration else None,
            "time": now.isoformat(),
            "digest": digest,
            "has_backup": before is not None,
            "secrets": list(secrets),
            "mode": mode,
        }
        try:
            self._make_folder()
            if before is not None:
                write_file(folder / _BEFORE, [before])
            write_file(folder / _RECORD, [json.dumps(record).encode()])
        except StorageError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with suppress(EditError):
            self._forget_oldest()
        return Edit(name, place, batch, now, digest, backup, tuple(secrets), mode)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be made: {describe_write_error(error)}") from None

    def list_edits(self) -> list[Edit]:
        """Return the edits, the oldest first.

        Raises:
            EditError: they cannot be read.

        """
        return [edit for name in self._list_names() if (edit := self._read(name)) is not None]

    def list_batches(self) -> list[list[Edit]]:
        """Return the edits of each run of a command, the oldest first.

        Raises:
            EditError: they cannot be read.

        """
        batches: dict[str, list[Edit]] = {}
        for edit in self.list_edits():
            batches[edit.batch.name] = [*batches.pop(edit.batch.name, ()), edit]
        return list(batches.values())

    def undo(self, edit: Edit) -> bool:
        """Put a file back as it was; return whether that changed it.

        The edit is forgotten then. If a file has several edits, begin with the newest.

        Raises:
            FileChanged: somebody else has changed the file since; it is left as it is.
            EditError: it cannot be written.

        """
        from mcp_gateway_cli.editing.files import read_content, replace_content

        if differs := self.check(edit):
            replace_content(edit.path, read_content(edit.path), edit.read_backup())
        self.forget(edit)
        return differs

    def check(self, edit: Edit) -> bool:
        """Look whether a file can be put back, and would change.

        Raises:
            FileChanged: somebody else has changed the file since.
            EditError: it cannot be read or written.

        """
        from mcp_gateway_cli.editing.files import check_writable, read_content

        before, now = edit.read_backup(), read_content(edit.path)
        if now == before:
            return False
        if now is None or _digest(now) != edit.digest:
            what = "has been removed" if now is None else "has been changed"
            kept = f"; what was in it is in {edit.backup}" if edit.backup else ""
            raise FileChanged(f"{edit.path}: it {what} since, so it is left as it is{kept}")
        check_writable(edit.path)
        return True

    def forget(self, edit: Edit) -> None:
        """Remove an edit and its backup from the journal."""
        shutil.rmtree(self.folder / edit.name, ignore_errors=True)

    def _list_names(self) -> list[str]:
        try:
            return sorted(found.name for found in self.folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _explain(self.folder, error) from None

    def _read(self, name: str) -> Edit | None:
        """Return an edit; None if its record was never finished."""
        folder = self.folder / name
        try:
            record = json.loads((folder / _RECORD).read_bytes())
            configuration = record.get("configuration")
            targets = tuple(map(str, record.get("targets", ())))
            return Edit(
                name,
                Path(record["path"]),
                Batch(str(record["batch"]), targets, Path(configuration) if configuration else None),
                datetime.fromisoformat(record["time"]),
                record["digest"],
                folder / _BEFORE if record["has_backup"] else None,
                tuple(record.get("secrets", ())),
                record.get("mode"),
            )
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None
        except OSError as error:
            raise _explain(folder / _RECORD, error) from None

    def _forget_oldest(self) -> None:
        for name in self._list_names()[:-_MAX_EDITS]:
            shutil.rmtree(self.folder / name, ignore_errors=True)


def open_journal() -> Journal:
    """Return the user's journal.

    Raises:
        ConfigError: there is no home folder.

    """
    return Journal(state_folder() / "edits")


def new_batch(verb: str, targets: Iterable[str], configuration: Path) -> Batch:
    """Return what the edits of a new run have in common."""
    return Batch(f"{verb} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {token_hex(3)}", tuple(targets), configuration)


def _explain(path: Path, error: OSError) -> EditError:
    """Return the error that what can be undone cannot be read."""
    return EditError(f"{path}: what can be undone cannot be read: {describe_read_error(error)}")


def _read_mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
