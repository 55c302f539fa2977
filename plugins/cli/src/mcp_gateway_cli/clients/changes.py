"""Changes of files: the gateway goes in, servers go out."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.entries import RawEntry
from mcp_gateway.config.forms.entry_file import read_entries
from mcp_gateway.config.forms.recognition import find_servers
from mcp_gateway.config.sources import SERVERS
from mcp_gateway.control.client_files import read_client_file
from mcp_gateway.plugin.utilities.atomic_files import describe_read_error
from mcp_gateway_cli.clients.entry_forms import Launch
from mcp_gateway_cli.clients.launch import describe_file, find_named_servers
from mcp_gateway_cli.clients.programs import ClientProgram, Place
from mcp_gateway_cli.clients.survey import FoundFile, is_gateway
from mcp_gateway_cli.clients.translation import Entry
from mcp_gateway_cli.editing.document import Document, decode_document
from mcp_gateway_cli.editing.errors import EditError
from mcp_gateway_cli.secrets.keyring_moves import MovedSecret
from mcp_gateway_cli.secrets.masks import mask_entry

_NAMES = ("gateway", "mcp-gateway", "mcp-orchestration-gateway")
"""Names of the gateway's entry, the best first: short, as it begins the names that models see."""

_NEW_FILE: Entry = {"version": "1.0", "servers": []}


@dataclass(frozen=True, slots=True)
class FileChange:
    """A new content of a file, with lines that describe it.

    `before` is None if there was no file. `secrets` are those that go into the keyring first.
    """

    path: Path
    before: bytes | None = field(repr=False)
    after: bytes | None = field(repr=False)
    lines: tuple[str, ...] = ()
    secrets: tuple[MovedSecret, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return self.before == self.after


def add_servers(path: Path, entries: Sequence[Entry], secrets: Sequence[MovedSecret] = ()) -> FileChange:
    """Return the change that adds servers to the gateway's file.

    `secrets` are those of the entries that go into the keyring.

    Raises:
        ConfigError: the file is broken, or cannot be edited.

    """
    before, document = _open(path, json.dumps(_NEW_FILE, indent=2) + "\n")
    place = _find_place(path, document)
    if document.find_value(place) is None:
        document = document.set_value(place, [])
    for entry in entries:
        if isinstance(document.find_value(place), list):
            document = document.set_value((*place, len(document.find_value(place))), entry)
        else:
            keys = {key: value for key, value in entry.items() if key != "name"}
            document = document.set_value((*place, str(entry["name"])), keys)
    lines = tuple(f"+ {json.dumps(mask_entry(entry), ensure_ascii=False)}" for entry in entries)
    return FileChange(path, before, document.encode(), lines, tuple(secrets))


def connect_program(file: FoundFile, launch: Launch, removed: Sequence[tuple[Place, str]] = ()) -> FileChange:
    """Return the change that puts the gateway into a program's file.

    `removed` are the places and names of servers that go out. An entry of the gateway that is there is brought up to
    date, and keeps its other keys.

    Raises:
        ConfigError: the file is broken, or cannot be edited.

    """
    program = file.program
    before, document = _open(file.path, _write_skeleton(program, file.path))
    place, name = _find_gateway(file, document)
    if program.is_list and document.find_value(place) is None:
        document = document.set_value(place, [])
    path = (*place, _find_key(document, place, name))
    stale = any(describe_file(find_named_servers(raw.keys)) for raw in file.own_entries[:1])
    entry = _merge(document.find_value(path), program.write_entry(name, launch), stale=(SERVERS,) if stale else ())
    connected = document.set_value(path, entry)
    lines = [f"- {'.'.join(at)}: {title}" for at, title in removed]
    if connected.text != document.text:
        lines.append(f"+ {'.'.join(place)}: {name}: {' '.join([launch.command, *launch.arguments])}")
    # The gateway goes in first, so that no place of servers is empty meanwhile, which TOML cannot say.
    for at, title in removed:
        connected = _remove_server(connected, at, title)
    return FileChange(file.path, before, connected.encode(), tuple(lines))


def disconnect_program(file: FoundFile) -> FileChange:
    """Return the change that takes the gateway out of a program's file.

    Raises:
        ConfigError: the file is broken, or cannot be edited.

    """
    before, document = _open(file.path, "")
    for place, title in file.gateways:
        document = _remove_server(document, place, title)
    lines = tuple(f"- {'.'.join(place)}: {title}" for place, title in file.gateways)
    return FileChange(file.path, before, document.encode(), lines)


def restore_servers(path: Path, before: bytes | None, now: bytes) -> FileChange:
    """Return the change that puts servers back in the gateway's place.

    `before` is what was in the file before the gateway came, `now` what the program has made of it since; all else of
    that stays.

    Raises:
        ConfigError: the file is broken, or cannot be edited.

    """
    old, document = decode_document(before or b"{}", path), decode_document(now, path)
    there, here = _read_entries(path, old), _read_entries(path, document)
    kept = {(raw.place, raw.title) for raw in there}
    known = {(raw.place, raw.title) for raw in here}
    lines: list[str] = []
    for raw in there:
        if (raw.place, raw.title) not in known:
            entry = old.find_value((*raw.place, _find_key(old, raw.place, raw.title)))
            document = document.set_value((*raw.place, _find_key(document, raw.place, raw.title)), entry)
            lines.append(f"+ {'.'.join(raw.place)}: {raw.title}")
    for raw in here:
        if is_gateway(raw.keys) and (raw.place, raw.title) not in kept:
            document = _remove_server(document, raw.place, raw.title)
            lines.append(f"- {'.'.join(raw.place)}: {raw.title}")
    return FileChange(path, now, document.encode(), tuple(lines))


def _read_entries(path: Path, document: Document) -> tuple[RawEntry, ...]:
    """Return the servers of a document that programs have everywhere."""
    value = document.value
    if not isinstance(value, dict):
        return ()
    found = {key: item for key, item in value.items() if key != "projects"}
    has_servers = any(servers for *_, servers in find_servers(found, path))
    return read_entries(path, found).entries if has_servers else ()


def _open(path: Path, skeleton: str) -> tuple[bytes | None, Document]:
    """Return a file's bytes and its document, by default `skeleton`."""
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        before = None
    except OSError as error:
        raise EditError(f"{path}: it cannot be read: {describe_read_error(error)}") from None
    content = before if before and before.strip() else skeleton.encode()
    return before, decode_document(content, path)


def _write_skeleton(program: ClientProgram, path: Path) -> str:
    """Return the text of a new file."""
    if path.suffix == ".toml":
        return ""
    if path.suffix in {".yaml", ".yml"}:
        keys = "".join(f"{key}: {value}\n" for key, value in program.skeleton)
        return f"{keys}{program.place[0]}: {'[]' if program.is_list else '{}'}\n"
    return json.dumps(dict(program.skeleton), indent=2) + "\n"


def _find_place(path: Path, document: Document) -> Place:
    """Return where the servers of a file are."""
    if isinstance(document.find_value(("servers",)), list):
        return ("servers",)
    if path.exists() and (entries := read_client_file(path).entries):
        return entries[0].place
    held = next((key for key in ("mcpServers", "servers") if document.find_value((key,)) is not None), None)
    return (held or "servers",)


def _remove_server(document: Document, place: Place, title: str) -> Document:
    path = (*place, _find_key(document, place, title))
    held = document.find_value(place)
    try:
        return document.remove_value(path)
    except EditError:
        if not isinstance(held, dict) or list(held) != [title]:
            raise
        return document.remove_value(place)


def _find_key(document: Document, place: Place, title: str) -> str | int:
    """Return the key of a server, or its index in a list."""
    held = document.find_value(place)
    if not isinstance(held, list):
        return title
    named = (at for at, item in enumerate(held) if isinstance(item, dict) and item.get("name") == title)
    return next(named, len(held))


def _find_gateway(file: FoundFile, document: Document) -> tuple[Place, str]:
    """Return place and name for the gateway's entry."""
    if file.gateways:
        return file.gateways[0]
    place = file.program.place
    taken = document.find_value(place)
    names = {str(item.get("name")) for item in taken} if isinstance(taken, list) else set(taken or ())
    return place, next(name for name in _NAMES if name not in names)


def _merge(old: Any, new: dict[str, Any], stale: Collection[str]) -> dict[str, Any]:
    """Return a new entry with the other keys of an old one.

    `stale` are variables that the old one has and that lead nowhere.
    """
    if not isinstance(old, dict):
        return new
    merged = {**old, **new}
    for key in ("env", "envs", "environment"):
        if isinstance(old.get(key), dict):
            kept = {name: value for name, value in old[key].items() if name not in stale}
            merged[key] = {**kept, **(new.get(key) or {})}
    return merged
