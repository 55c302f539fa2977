"""Findings on files and folders: rights, secrets, full disks."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from mcp_gateway.config.forms.entry_file import read_entry_file
from mcp_gateway.config.sources import state_folder
from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError, StorageError, write_file
from mcp_gateway.text.redaction import mask_secrets
from mcp_gateway_cli.doctor.finding import Finding, report_error, warn

LEAST_FREE = 64 << 20
"""How many bytes should be free where the gateway and its servers write."""

_MAX_READ = 1 << 20


def find_file_faults(context: ControlContext) -> list[Finding]:
    """Return what is wrong with files and folders."""
    try:
        folders = list(find_state_folders(context))
    except ConfigError as error:
        return [report_error("state-folder", "state folder", str(error).removeprefix("environment: HOME: "))]
    return [
        *(finding for folder in folders for finding in check_folder(folder)),
        *check_disks([*folders, Path(tempfile.gettempdir())]),
        *(finding for path in find_secret_files(context, folders) for finding in check_secret_file(path)),
    ]


def find_state_folders(context: ControlContext) -> Iterator[Path]:
    """Yield the folders in which pins and logins are kept."""
    state = context.environment.state or state_folder()
    yield state
    yield Path(context.environ.get("GATEWAY_OAUTH_FOLDER") or state_folder() / "oauth")


def check_folder(folder: Path) -> Iterator[Finding]:
    """Yield the reason why nothing can be written in a folder."""
    place = _find_existing(folder)
    if place != folder:
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            reason = "is no folder" if not place.is_dir() else "may not be written by this user"
            mend = f"make {folder}, for this user; or set GATEWAY_STATE_DIR to another folder"
            yield report_error("state-folder", str(folder), f"it cannot be made: {place} {reason}", mend)
        return
    probe = folder / f".doctor-{os.getpid()}"
    try:
        write_file(probe, [b""])
        probe.unlink()
    except (StorageError, OSError) as error:
        found = report_error(
            "state-folder",
            str(folder),
            f"nothing can be written there, so that pins and logins are lost: {str(error).rpartition(': ')[2]}",
            f"give this user the right to write: chmod u+rwx {folder}; or set GATEWAY_STATE_DIR to another folder",
        )
        yield replace(found, fix=partial(_set_mode, folder, 0o700)) if _is_ours(folder) else found


def check_disks(folders: Iterable[Path], least: int = LEAST_FREE) -> Iterator[Finding]:
    """Yield the disks of these folders that are full, each once."""
    devices: dict[int, Path] = {}
    for folder in folders:
        place = _find_existing(folder)
        devices.setdefault(place.stat().st_dev, place)
    for place in devices.values():
        free = shutil.disk_usage(place).free
        if free < least:
            message = f"only {free >> 20} MB are free on the disk of this folder"
            yield warn(
                "disk-full", str(place), message, "make room there: pins, logins and packages of servers need it"
            )


def find_secret_files(context: ControlContext, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that hold secrets."""
    written = [context.environment.server_config, *([context.source.env_file] if context.source.env_file else [])]
    yield from (path for path in written if holds_secret(path))
    yield from _find_keys(context)
    for folder in folders:
        yield from sorted(path for path in folder.glob("*") if path.suffix in (".login", ".key") and path.is_file())


def holds_secret(path: Path) -> bool:
    """Whether a file has what looks like a secret."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_READ).decode(errors="replace")
    except OSError:
        return False
    return mask_secrets(text) != text


def _find_keys(context: ControlContext) -> Iterator[Path]:
    """Yield the files of private keys that entries name."""
    file = read_entry_file(context.environment.server_config) if context.environment.server_config.is_file() else None
    for entry in file.entries if file else ():
        for key in ("key", "cert"):
            value = entry.keys.get(key)
            if isinstance(value, str) and file and _is_private_key(path := file.folder / Path(value).expanduser()):
                yield path


def _is_private_key(path: Path) -> bool:
    try:
        return b"PRIVATE KEY" in path.read_bytes()[:_MAX_READ]
    except OSError:
        return False


def check_secret_file(path: Path) -> Iterator[Finding]:
    """Yield a warning if other users can read a file."""
    if os.name != "posix" or not (readers := _find_readers(path)):
        return
    found = warn("secrets-readable", str(path), f"it holds secrets, and {readers} can read it", f"chmod 600 {path}")
    yield replace(found, fix=partial(_set_mode, path, 0o600)) if _is_ours(path) else found


def _find_readers(path: Path) -> str:
    """Return who else can read a file, in words.

    Its folders must let them in.
    """
    whole = path.resolve()
    modes = [place.stat().st_mode for place in whole.parents]
    mode = whole.stat()
    if mode.st_mode & stat.S_IROTH and all(each & stat.S_IXOTH for each in modes):
        return "everybody on this machine"
    if mode.st_mode & stat.S_IRGRP and mode.st_gid != os.getgid() and all(each & _X_ANY for each in modes):
        return f"the group {_name_group(mode.st_gid)}"
    return ""


_X_ANY = stat.S_IXGRP | stat.S_IXOTH


def _name_group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _set_mode(path: Path, mode: int) -> str:
    path.chmod(mode)
    return f"chmod {mode:o} {path}"


def _is_ours(path: Path) -> bool:
    return os.name == "posix" and path.stat().st_uid == os.getuid()


def _find_existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    whole = path.absolute()
    return next((place for place in (whole, *whole.parents) if os.path.lexists(place)), whole)
