"""Survey of a machine: programs with MCP servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.entries import RawEntry
from mcp_gateway.control.client_files import ClientFile, read_client_file
from mcp_gateway.plugin import ConfigError
from mcp_gateway_cli.clients.launch import find_own_program
from mcp_gateway_cli.clients.machine import Machine
from mcp_gateway_cli.clients.programs import PROGRAMS, ClientProgram, Place
from mcp_gateway_cli.clients.translation import Entry, translate_entry


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server in a file of a program.

    `entry` is what it is in our own form; None if it cannot be written so, for the reason `problem`. `is_off` says that
    the program does not use it.
    """

    title: str
    place: Place
    entry: Entry | None = None
    problem: str = ""
    warnings: tuple[str, ...] = ()
    is_off: bool = False


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a program, with its servers.

    * `problem`: why the file cannot be used, if so.
    * `own_entries`: those that start the gateway, or are meant to.
    * `elsewhere`: the names of servers that are for single projects only.
    """

    program: ClientProgram
    path: Path
    servers: tuple[FoundServer, ...] = ()
    own_entries: tuple[RawEntry, ...] = ()
    elsewhere: tuple[str, ...] = ()
    problem: str = ""

    @property
    def gateways(self) -> tuple[tuple[Place, str], ...]:
        """Places and names of the gateway's own entries."""
        return tuple((raw.place, raw.title) for raw in self.own_entries)


def survey_machine(machine: Machine, programs: Iterable[ClientProgram] = PROGRAMS) -> list[FoundFile]:
    """Return the files of programs that are there."""
    found: dict[Path, FoundFile] = {}
    for program in programs:
        for path in program.find_files(machine):
            try:
                if path.is_file() and path.resolve() not in found:
                    found[path.resolve()] = inspect_file(program, path)
            except PermissionError as error:
                found[path] = FoundFile(program, path, problem=f"it cannot be looked at: {error.strerror}")
    return list(found.values())


def find_idle_programs(machine: Machine, found: Iterable[FoundFile]) -> list[ClientProgram]:
    """Return the programs with a folder and no file yet."""
    with_file = {file.program.name for file in found}
    shared = {machine.home, machine.config, machine.roaming, machine.local, machine.support}
    return [
        program
        for program in PROGRAMS
        if program.name not in with_file
        and any(path.parent not in shared and _is_folder(path.parent) for path in program.find_files(machine))
    ]


def _is_folder(path: Path) -> bool:
    """Whether a folder can be seen there."""
    try:
        return path.is_dir()
    except PermissionError:
        return False


def inspect_file(program: ClientProgram, path: Path) -> FoundFile:
    """Return the servers of a program's file, or its problem.

    A file of no program in particular lies in a project, where its paths begin.
    """
    try:
        file = read_client_file(path)
    except ConfigError as error:
        problem = str(error).split("\n", 1)[0].removeprefix(f"{path}: ")
        return FoundFile(program, path, problem=problem)
    own_entries = tuple(raw for raw in file.entries if is_gateway(raw.keys))
    servers = tuple(_inspect_server(raw, file, program) for raw in file.entries if not is_gateway(raw.keys))
    return FoundFile(program, path, servers, own_entries, file.elsewhere)


def is_gateway(keys: Mapping[str, Any]) -> bool:
    """Whether an entry starts the gateway itself, or is meant to."""
    return find_own_program(keys) is not None


def _inspect_server(raw: RawEntry, file: ClientFile, program: ClientProgram) -> FoundServer:
    title = raw.title or str(raw.keys.get("name", ""))
    if raw.keys.get("enabled") is False:
        return FoundServer(title, raw.place, problem=raw.unclear or "it is switched off there", is_off=True)
    if raw.unclear:
        return FoundServer(title, raw.place, problem=raw.unclear)
    try:
        entry = translate_entry(raw, file.folder, file.questions, is_user_wide=bool(program.name))
    except ConfigError as error:
        return FoundServer(title, raw.place, problem=str(error))
    notes = [f"only {program.title} reads {', '.join(raw.ignored)}: not taken over"] if raw.ignored else []
    return FoundServer(title, raw.place, entry, warnings=(*raw.warnings, *notes))


def list_servers(files: Iterable[FoundFile]) -> Iterator[tuple[FoundFile, FoundServer]]:
    """Yield every server with its file."""
    for file in files:
        for server in file.servers:
            yield file, server
