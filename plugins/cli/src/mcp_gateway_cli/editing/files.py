"""Files that are edited, and written only if still the same."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mcp_gateway.plugin import StorageError
from mcp_gateway.plugin.utilities.atomic_files import describe_read_error, describe_write_error
from mcp_gateway_cli.editing.document import Document, decode_document
from mcp_gateway_cli.editing.errors import EditError, FileChanged
from mcp_gateway_cli.editing.journal import NO_BATCH, Batch, Edit, Journal

_MAX_BYTES = 32 << 20
_NEW_FILE_MODE = 0o600
"""Configurations may hold secrets."""


@dataclass(frozen=True)
class EditableFile:
    """A file as it was read, and its document.

    `content` is None if there is no file yet: saving makes it.
    """

    path: Path
    content: bytes | None
    document: Document

    def save(self, document: Document, journal: Journal | None = None, batch: Batch = NO_BATCH) -> bool:
        """Write an edited document; return whether it differs.

        The file keeps its mode and owner; a link stays a link. What was there before goes into the journal first.

        Raises:
            FileChanged: the file is not as it was read.
            EditError: it cannot be written; it is unchanged.

        """
        written = document.encode()
        if written == self.content:
            return False
        replace_content(self.path, self.content, written, journal, batch)
        return True


def open_file(path: Path) -> EditableFile:
    """Read a file to edit, which need not exist.

    Raises:
        EditError: it cannot be read.

    """
    content = read_content(path)
    try:
        return EditableFile(path, content, decode_document(content or b"", path))
    except EditError as error:
        raise EditError(f"{path}: {error}") from None


def read_content(path: Path) -> bytes | None:
    """Return the bytes of a file; None if there is none.

    Raises:
        EditError: it cannot be read.

    """
    try:
        if path.is_dir():
            raise EditError(f"{path}: it is a folder; name the file in it")
        if path.exists() and not path.is_file():
            raise EditError(f"{path}: it is no ordinary file")
        if path.exists() and path.stat().st_size > _MAX_BYTES:
            raise EditError(f"{path}: it is larger than {_MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise EditError(f"{path}: it is a link to a file that does not exist") from None
        return None
    except OSError as error:
        raise EditError(f"{path}: it cannot be read: {describe_read_error(error)}") from None


def replace_content(
    path: Path,
    before: bytes | None,
    after: bytes | None,
    journal: Journal | None = None,
    batch: Batch = NO_BATCH,
    *,
    secrets: Sequence[str] = (),
    new_mode: int | None = None,
) -> None:
    """Replace the content of a file if it is unchanged.

    `secrets` are the names of those that went into the keyring for it, `new_mode` the rights of a file that is not
    there.

    Raises:
        FileChanged: the file is not as it was.
        EditError: it cannot be written; it is unchanged.

    """
    check_writable(path)
    target = path.resolve()
    try:
        if after is not None:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _folder_lock(target.parent):
            if read_content(target) != before:
                raise FileChanged(f"{path}: another program has changed it meanwhile; nothing was written: try again")
            edit = None
            if journal is not None and after is not None:
                edit = _keep_backup(journal, path, before, after, batch, secrets=secrets)
            try:
                _write(target, after, _NEW_FILE_MODE if new_mode is None else new_mode)
            except (OSError, EditError):
                # An edit that did not happen is not what `undo` is to take back.
                if journal is not None and edit is not None and read_content(target) == before:
                    journal.forget(edit)
                raise
    except OSError as error:
        raise EditError(f"{path}: it cannot be written: {describe_write_error(error)}") from None


def _keep_backup(
    journal: Journal, path: Path, before: bytes | None, after: bytes, batch: Batch, *, secrets: Sequence[str]
) -> Edit:
    try:
        return journal.record(path, before, after, batch, secrets)
    except StorageError as error:
        raise EditError(f"{path}: it is left as it is, because its backup cannot be kept: {error}") from None


def _write(target: Path, content: bytes | None, new_mode: int) -> None:
    if content is None:
        target.unlink()
    else:
        _write_beside(target, content, new_mode)


def check_writable(path: Path) -> None:
    """Look whether a file can be written, before a change is shown.

    Raises:
        EditError: it cannot.

    """
    target = path.resolve()
    try:
        _refuse_read_only(path, target)
        folder = next(place for place in target.parents if os.path.lexists(place))
        if not folder.is_dir():
            raise EditError(f"{path}: it cannot be written: {folder} is no folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise EditError(f"{path}: it cannot be written: nothing can be made in {folder}; let this user write there")
    except OSError as error:
        raise EditError(f"{path}: it cannot be written: {describe_write_error(error)}") from None


def _refuse_read_only(path: Path, target: Path) -> None:
    if target.exists() and (not target.stat().st_mode & 0o222 or not os.access(target, os.W_OK)):
        raise EditError(f"{path}: it is read-only; make it writable (chmod u+w)")


def _write_beside(target: Path, content: bytes, new_mode: int) -> None:
    """Write a new file beside another one, and give it its name."""
    known = target.stat() if target.exists() else None
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".new")
    made = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        made.chmod(stat.S_IMODE(known.st_mode) if known else new_mode)
        if known is not None and sys.platform != "win32" and (known.st_uid, known.st_gid) != _owner(made):
            _keep_owner(made, known)
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)


def _owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def _keep_owner(made: Path, known: os.stat_result) -> None:
    if sys.platform == "win32":
        return
    mode = stat.S_IMODE(known.st_mode)
    try:
        os.chown(made, known.st_uid, known.st_gid)
    except OSError:
        raise EditError(f"{made.parent}: the owner of the file in it would change; edit it as its owner") from None
    made.chmod(mode)  # a change of owner clears some bits


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Hold off other commands of ours between looking and writing."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = -1
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
