"""A file of servers, with the place of each entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.recognition import find_servers
from mcp_gateway.config.forms.values import is_switched_on
from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError
from mcp_gateway.text.suggestions import suggest_word
from mcp_gateway_cli.clients.own_file import find_own_file
from mcp_gateway_cli.editing.document import Document
from mcp_gateway_cli.editing.files import EditableFile, open_file
from mcp_gateway_cli.editing.journal import new_batch, open_journal
from mcp_gateway_cli.editing.syntax import EditPath

Json = dict[str, Any]

_NATIVE: EditPath = ("servers",)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is written, and its path in the document."""

    name: str
    path: EditPath
    keys: Mapping[str, Any]

    @property
    def is_on(self) -> bool:
        """Whether the entry says that the server is on."""
        return is_switched_on(self.keys)


@dataclass(frozen=True, slots=True)
class EntryFile:
    """The file of servers that is edited."""

    file: EditableFile
    entries: tuple[Entry, ...]
    place: EditPath = _NATIVE
    """Where entries are added."""
    is_native: bool = True
    """Whether these are a list of the gateway's own form; otherwise an object, by name."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    def find(self, name: str) -> Entry:
        """Return the entry of a server.

        Raises:
            ConfigError: there is none.

        """
        names = [entry.name for entry in self.entries]
        found = next((entry for entry in self.entries if entry.name == name), None)
        if found is None:
            there = f"there is: {', '.join(names) or 'none'}"
            raise ConfigError(f"{self.path} has no server {name!r}{suggest_word(name, names)}; {there}")
        return found

    def add(self, name: str, entry: Mapping[str, Any]) -> Document:
        """Return the document with an entry added, or replaced."""
        old = next((one for one in self.entries if one.name == name), None)
        if old is not None:
            return self.file.document.set_value(old.path, {"name": name, **entry} if self.is_native else dict(entry))
        if not self.is_native:
            return self.file.document.set_value((*self.place, name), dict(entry))
        held = self.file.document.find_value(self.place)
        if not isinstance(held, list):
            return self.file.document.set_value(self.place, [{"name": name, **entry}])
        return self.file.document.set_value((*self.place, len(held)), {"name": name, **entry})

    def save(self, document: Document, verb: str) -> None:
        """Write an edited document; `undo` can put the old one back."""
        self.file.save(document, open_journal(), new_batch(verb))


def open_entries(context: ControlContext) -> EntryFile:
    """Open the file that commands read here, or the user's own.

    Raises:
        ConfigError: it cannot be read, or has a mistake; the message has the place.

    """
    named = context.environment.server_config
    file = open_file(named.absolute() if named.exists() else find_own_file(context))
    try:
        value = file.document.value if file.content else {}
    except ConfigError as error:
        raise ConfigError(f"{file.path}: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f'{file.path}: a file of servers is an object, such as {{"servers": []}}')
    native = value.get("servers")
    if isinstance(native, list):
        return EntryFile(file, tuple(_list_native(native)))
    for _, place, servers in find_servers(value, file.path):
        held = servers if isinstance(servers, dict) else {}
        entries = tuple(Entry(str(name), (*place, name), keys) for name, keys in held.items() if isinstance(keys, dict))
        return EntryFile(file, entries, tuple(place), is_native=False)
    return EntryFile(file, ())


def _list_native(entries: list[Any]) -> list[Entry]:
    return [
        Entry(str(keys.get("name", "")), ("servers", number), keys)
        for number, keys in enumerate(entries)
        if isinstance(keys, dict)
    ]
