"""The values that shells offer; none of them starts a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_gateway.control.context import ControlContext
from mcp_gateway_cli.all_commands import collect_all_commands
from mcp_gateway_cli.plugin_verbs import KINDS

if TYPE_CHECKING:
    from mcp_gateway_cli.entries.server_file import Entry


@dataclass(frozen=True, slots=True)
class Typed:
    """What is typed of a value, and the values before it."""

    prefix: str
    before: tuple[str, ...] = ()


ListFn = Callable[[ControlContext, Typed], Iterable[str]]


def _list_entries(context: ControlContext) -> tuple[Entry, ...]:
    from mcp_gateway_cli.entries.server_file import open_entries

    return open_entries(context).entries


def _list_servers(context: ControlContext, typed: Typed) -> Iterator[str]:
    yield from (entry.name for entry in _list_entries(context) if entry.name not in typed.before)


def _list_servers_that_are_on(context: ControlContext, _typed: Typed) -> Iterator[str]:
    yield from (entry.name for entry in _list_entries(context) if entry.is_on)


def _list_servers_that_are_off(context: ControlContext, _typed: Typed) -> Iterator[str]:
    yield from (entry.name for entry in _list_entries(context) if not entry.is_on)


def _list_tools(context: ControlContext, typed: Typed) -> Iterator[str]:
    from mcp_gateway_cli.completion.known_tools import list_known_tools

    return list_known_tools(context) if not typed.before else iter(())


def _list_clients(_context: ControlContext, _typed: Typed) -> Iterator[str]:
    from mcp_gateway_cli.clients.programs import PROGRAMS

    yield from (program.name for program in PROGRAMS)


def _list_sources(context: ControlContext, typed: Typed) -> Iterator[str]:
    yield from _list_clients(context, typed)
    yield from _list_files(context, typed)


def _list_verbs(_context: ControlContext, _typed: Typed) -> Iterator[str]:
    yield from collect_all_commands().commands


def _list_plugin_words(context: ControlContext, typed: Typed) -> Iterable[str]:
    """Return what may come next of `info NAME` or `new KIND NAME`."""
    match typed.before:
        case ():
            return ("list", "info", "new")
        case ("new",):
            return tuple(KINDS)
        case ("info",):
            shelves = (*context.providers.shelves,)
            names = [name for shelf in shelves for name in shelf.providers]
            return [*names, *context.providers.variable_sources.sources]
        case _:
            return ()


def _list_rankers(context: ControlContext, _typed: Typed) -> Iterable[str]:
    return context.providers.rankers.providers


def _list_server_transports(context: ControlContext, _typed: Typed) -> Iterable[str]:
    return context.providers.server_transports.providers


def _list_gateways(_context: ControlContext, _typed: Typed) -> Iterator[str]:
    from mcp_gateway.local_socket.folder import list_endpoints

    yield from (str(endpoint.pid) for endpoint in list_endpoints() if endpoint.is_alive())


def _list_files(_context: ControlContext, typed: Typed) -> Iterator[str]:
    yield from _list_paths(typed.prefix, folders_only=False)


def _list_folders(_context: ControlContext, typed: Typed) -> Iterator[str]:
    yield from _list_paths(typed.prefix, folders_only=True)


def _list_paths(prefix: str, *, folders_only: bool) -> Iterator[str]:
    """Yield paths that begin with `prefix`, as it is written.

    Folders end with a slash, so that more can follow.
    """
    written, _, start = prefix.rpartition("/")
    place = f"{written}/" if "/" in prefix else ""
    with os.scandir(Path(place or ".").expanduser()) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            is_hidden = entry.name.startswith(".") and not start.startswith(".")
            if not is_hidden and entry.name.startswith(start) and (entry.is_dir() or not folders_only):
                yield f"{place}{entry.name}{'/' if entry.is_dir() else ''}"


VALUES: Mapping[str, ListFn] = {
    "servers": _list_servers,
    "servers that are on": _list_servers_that_are_on,
    "servers that are off": _list_servers_that_are_off,
    "tools": _list_tools,
    "files": _list_files,
    "folders": _list_folders,
    "clients": _list_clients,
    "clients and files": _list_sources,
    "verbs": _list_verbs,
    "plugin words": _list_plugin_words,
    "rankers": _list_rankers,
    "server transports": _list_server_transports,
    "gateways": _list_gateways,
}
"""What an argument's `values` may be; the API of plugins names the first ones."""
