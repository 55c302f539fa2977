"""The plan of an import: servers, their names and their origins."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mcp_gateway.control.client_files import read_client_file
from mcp_gateway.plugin import ConfigError
from mcp_gateway_cli.clients.survey import FoundFile, FoundServer, list_servers
from mcp_gateway_cli.clients.translation import Entry, translate_entry

_NO_IDENTITY = ("name", "description", "timeout", "start_timeout", "list_timeout", "call_timeout")
"""Keys in which two entries of the same server may differ."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a server: program, file, place and name."""

    program: str
    path: Path
    place: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True)
class ImportedServer:
    """A server of the gateway, with everywhere that it comes from.

    `is_new` says that the gateway's file does not have it yet.
    """

    entry: Entry = field(repr=False)
    origins: tuple[Origin, ...] = ()
    is_new: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the gateway."""
        return str(self.entry["name"])


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A server that is not imported, with the reason."""

    origin: Origin
    reason: str
    is_off: bool = False


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import does."""

    servers: tuple[ImportedServer, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def new(self) -> tuple[ImportedServer, ...]:
        """The servers that are added to the gateway's file."""
        return tuple(server for server in self.servers if server.is_new)


def read_existing(path: Path) -> list[Entry]:
    """Return the servers that the gateway's file has already.

    Raises:
        ConfigError: the file cannot be read, or is broken.

    """
    if not path.exists():
        return []
    file = read_client_file(path)
    entries: list[Entry] = []
    for raw in file.entries:
        try:
            entries.append(translate_entry(raw, file.folder, file.questions))
        except ConfigError:  # its name is taken all the same
            entries.append({"name": raw.keys.get("name", "")})
    return entries


def count_servers(path: Path) -> int:
    """Return how many servers of the gateway's file are used.

    Raises:
        ConfigError: the file cannot be read, or is broken.

    """
    return sum(raw.keys.get("enabled") is not False for raw in read_client_file(path).entries)


def plan_import(
    files: Iterable[FoundFile], existing: Sequence[Entry] = (), reveal: Callable[[Entry], Entry] = lambda entry: entry
) -> ImportPlan:
    """Return which servers of these files are imported, each of them once.

    `reveal` returns an existing entry with its secrets in it, by which it is compared.
    """
    planned: dict[str, ImportedServer] = {
        _identify(reveal(entry)): ImportedServer(entry, is_new=False) for entry in existing
    }
    names = {str(entry["name"]) for entry in existing}
    left_out: list[LeftOut] = []
    for file, server in list_servers(files):
        origin = Origin(file.program.title, file.path, server.place, server.title)
        if server.entry is None:
            left_out.append(LeftOut(origin, server.problem, is_off=server.is_off))
            continue
        identity = _identify(server.entry)
        if (known := planned.get(identity)) is not None:
            warnings = tuple(dict.fromkeys((*known.warnings, *server.warnings)))
            planned[identity] = replace(known, origins=(*known.origins, origin), warnings=warnings)
            continue
        planned[identity] = _add(server, server.entry, origin, file.program.name, names)
    return ImportPlan(tuple(server for server in planned.values() if server.origins), tuple(left_out))


def _add(server: FoundServer, entry: Entry, origin: Origin, program: str, names: set[str]) -> ImportedServer:
    wanted = str(entry["name"])
    name = _find_free_name(wanted, program, names)
    taken = [f"another server is called {known}" for known in names if _fold(known) == _fold(wanted)]
    names.add(name)
    return ImportedServer({**entry, "name": name}, (origin,), warnings=(*server.warnings, *taken[:1]))


def _find_free_name(name: str, program: str, taken: set[str]) -> str:
    """Return a free name, if necessary with the program's, or a number."""
    longer = f"{name}-{program}" if program else name
    candidates = (name, longer, *(f"{longer}-{number}" for number in range(2, len(taken) + 3)))
    folded = {_fold(known) for known in taken}
    return next(candidate for candidate in candidates if _fold(candidate) not in folded)


def _fold(name: str) -> str:
    """Return what clients may take for the same name."""
    return name.lower().replace("-", "_").replace(".", "_")


def _identify(entry: Mapping[str, object]) -> str:
    """Return what two entries of the same server have in common."""
    keys = {key: value for key, value in entry.items() if key not in _NO_IDENTITY and value not in ({}, [])}
    return json.dumps(keys or entry, sort_keys=True, default=str)
