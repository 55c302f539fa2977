"""A file of servers, with the place of each entry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.entries import RawEntry
from mcp_gateway.config.forms.entry_file import read_entries
from mcp_gateway.config.forms.programs import ANY, PROGRAMS, Place, Program
from mcp_gateway.config.forms.recognition import describe_stranger, find_servers, looks_like_entry
from mcp_gateway.config.forms.values import SWITCHES, is_switched_on
from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.text.suggestions import suggest_with
from mcp_gateway_cli.clients.folder_file import is_distrusted, keep_trust
from mcp_gateway_cli.clients.own_file import find_own_file
from mcp_gateway_cli.editing.document import Document
from mcp_gateway_cli.editing.files import EditableFile, open_file
from mcp_gateway_cli.editing.journal import new_batch, open_journal
from mcp_gateway_cli.editing.syntax import EditPath

Json = dict[str, Any]

_NATIVE: EditPath = ("servers",)
_HOLDERS = ("config", "transport", "server", "mcp")
"""Keys of an entry below which its others may stand."""

_SAYS_ENABLED = frozenset({"Codex", "Goose", "opencode", "Zed"})
"""The programs that switch a server off by `enabled`; others do it by `disabled`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is written, and its path in the document.

    * `name`: the server's name; `title` the one that is written, if that is another.
    * `keys`: what is written; None if it is no object. `settled` are the keys as the gateway reads them.
    * `switch`: the key by which it is switched off there.
    * `is_on`: whether the file says that the server is on, in the entry or elsewhere.
    * `problem`: why the entry cannot be used, if so.
    """

    name: str
    title: str
    path: EditPath
    keys: Mapping[str, Any] | None
    settled: Mapping[str, Any]
    switch: str
    is_on: bool
    problem: str = ""

    def find_switches(self) -> Iterator[tuple[EditPath, str]]:
        """Yield path and name of each switch in it."""
        keys = self.keys or {}
        yield from (((*self.path, key), key) for key in SWITCHES if key in keys)
        for holder in _HOLDERS:
            held = keys.get(holder)
            yield from (((*self.path, holder, key), key) for key in SWITCHES if isinstance(held, dict) and key in held)


@dataclass(frozen=True, slots=True)
class EntryFile:
    """The file of servers that is edited.

    * `place`: where entries are added.
    * `is_native`: whether they are of the gateway's own form there; otherwise of that which most programs share.
    """

    file: EditableFile
    entries: tuple[Entry, ...]
    place: EditPath = _NATIVE
    is_native: bool = True

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    def find(self, name: str) -> Entry:
        """Return the entry of a server.

        Raises:
            ConfigError: there is none.

        """
        if (found := self.get(name)) is not None:
            return found
        names = [entry.name for entry in self.entries]
        there = f"servers: {', '.join(names) or 'none'}"
        raise ConfigError(f"{self.path} has no server {name!r}{suggest_with(name, names, there)}")

    def get(self, name: str) -> Entry | None:
        """Return the entry of a server, by its name or title."""
        named = (entry for entry in self.entries if entry.name == name)
        return next(named, next((entry for entry in self.entries if entry.title == name), None))

    def add(self, name: str, entry: Mapping[str, Any]) -> Document:
        """Return the document with an entry added, or replaced.

        Raises:
            ConfigError: nothing can be added there.

        """
        old, document = self.get(name), self.file.document
        if any(not one.path for one in self.entries):
            raise ConfigError(f'{self.path} is a single server: write {{"mcpServers": {{...}}}} around it first')
        held = document.find_value(self.place) if self.place else document.value
        is_list = self.is_native if held is None else isinstance(held, list)
        if old is not None:
            is_item = isinstance(old.path[-1], int)
            return document.set_value(old.path, {"name": old.title, **entry} if is_item else dict(entry))
        if not is_list:
            return document.set_value((*self.place, name), dict(entry))
        named = {"name": name, **entry}
        if held is None:
            return document.set_value(self.place, [named])
        return document.set_value((*self.place, len(held)), named)

    def remove(self, entry: Entry) -> Document:
        """Return the document without an entry and its exact repetitions.

        Raises:
            ConfigError: it is all that the file has.

        """
        if not entry.path:
            raise ConfigError(f"{self.path} is that server, and nothing else: delete the file")
        file, found = self, entry
        while True:
            document = file.file.document.remove_value(found.path)
            file = read_document_entries(EditableFile(self.path, self.file.content, document))
            again = file.get(entry.name)
            if again is None or again.keys != entry.keys:
                return document
            found = again

    def switch_entry(self, entry: Entry, *, on: bool) -> Document:
        """Return the document with a server switched on or off.

        Raises:
            ConfigError: something else in the file decides, or the entry is no object.

        """
        if entry.keys is None:
            raise ConfigError(f"{self.path}: server {entry.name!r}: {entry.problem}")
        document, switches = self.file.document, list(entry.find_switches())
        if on:
            for path, _ in switches:
                document = document.remove_value(path)
        else:
            path, key = next(iter(switches), ((*entry.path, entry.switch), entry.switch))
            document = document.set_value(path, not SWITCHES[key])
        switched = read_document_entries(EditableFile(self.path, self.file.content, document)).find(entry.name)
        if switched.is_on is not on:
            reason = switched.problem or "the file switches it elsewhere"
            raise ConfigError(f"{self.path}: server {entry.name!r}: {reason}; change that by hand")
        return document

    def save(self, document: Document, verb: str, name: str) -> None:
        """Write what a verb did to a server; `undo` finds it."""
        if self.file.save(document, open_journal(), new_batch(verb, [name], self.path)):
            keep_trust(self.path, self.file.content, document.encode())

    def describe_readers(self) -> str:
        """Describe who takes over what was written."""
        if not is_distrusted(self.path):
            return "a running gateway picks it up within seconds"
        return (
            "commands in this folder read it, and serving over HTTP; gateways that programs start here do not, because "
            f"it is not trusted: to change that: {NAME} trust"
        )


def open_entries(context: ControlContext) -> EntryFile:
    """Open the file that commands read here, or the user's own.

    Raises:
        ConfigError: it cannot be read, or has a mistake; the message has the place.

    """
    named = context.environment.server_config
    return read_document_entries(open_file(named.absolute() if named.exists() else find_own_file(context)))


def read_document_entries(file: EditableFile) -> EntryFile:
    """Read the entries of a document, as the gateway does.

    Raises:
        ConfigError: it has a mistake, or is something else than a file of servers.

    """
    try:
        value = file.document.value if file.document.text.strip() else {}
    except ConfigError as error:
        raise ConfigError(f"{file.path}: {error}") from None
    is_list = isinstance(value, list) and (not value or any(map(looks_like_entry, value)))
    document = {"servers": value} if is_list else value
    if not isinstance(document, dict):
        raise ConfigError(f'{file.path}: a file of servers is an object, such as {{"servers": []}}')
    try:
        raw = read_entries(file.path, document).entries
    except ConfigError:
        if describe_stranger(document):
            raise
        raw = ()
    programs = {place: program for program, place, _ in find_servers(document, file.path)}
    entries = (_make_entry(entry, document, programs, in_list=is_list) for entry in raw)
    return EntryFile(file, tuple(entries), *_find_place(document, file.path, in_list=is_list))


def _make_entry(raw: RawEntry, document: Json, programs: Mapping[Place, Program], *, in_list: bool) -> Entry:
    path: EditPath = () if raw.key is None else (*raw.place, raw.key)
    written: Any = document
    for key in path:
        written = written[key]
    keys = written if isinstance(written, dict) else None
    # What the file says elsewhere is settled in the entry's keys already.
    is_on = keys is not None and raw.keys.get("enabled") is not False and all(map(is_switched_on, _find_holders(keys)))
    named = raw.keys.get("name")
    name = named if isinstance(named, str) else raw.where.rpartition(": ")[2]
    says_enabled = not raw.foreign or programs.get(raw.place, ANY).name in _SAYS_ENABLED
    switch = "enabled" if says_enabled else "disabled"
    return Entry(name, raw.title or name, path[1:] if in_list else path, keys, raw.keys, switch, is_on, raw.unclear)


def _find_holders(keys: Json) -> Iterator[Json]:
    yield keys
    yield from (held for holder in _HOLDERS if isinstance(held := keys.get(holder), dict))


def _find_place(document: Json, path: Path, *, in_list: bool) -> tuple[EditPath, bool]:
    """Return where entries are added, and whether in the gateway's own form."""
    if in_list:
        return (), True
    if isinstance(document.get("servers"), list):
        return _NATIVE, True
    for _, place, _ in find_servers(document, path):
        return place, False
    written = path.absolute().as_posix()
    for program in PROGRAMS:
        if program.file and re.search(program.file, written):
            return program.places[0], False
    return _NATIVE, True
