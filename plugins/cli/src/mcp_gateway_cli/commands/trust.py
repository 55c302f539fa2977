"""`trust`: approve the file of servers of a folder.

The approval is for exactly the present content of the file.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from mcp_gateway.config.forms.entry_file import read_entry_file
from mcp_gateway.config.sources import open_trust_store
from mcp_gateway.config.trust import FILE_NAME, Trust, TrustStore
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.plugin import ConfigError

_STATES = {
    Trust.TRUSTED: "trusted",
    Trust.CHANGED: "has changed since it was trusted",
    Trust.ABSENT: "is gone",
}


def run(_context: ControlContext, arguments: Namespace) -> int:
    """Trust a folder's file, revoke that, or list the trusted files."""
    if arguments.config is not None:
        raise ConfigError(f"a file that --config names needs no trust; trust is for {FILE_NAME} in a folder")
    store = open_trust_store()
    if arguments.list:
        return _print_files(store, as_json=arguments.json)
    place = Path(arguments.folder).resolve()
    if arguments.remove:
        # One that a folder's `.env` names has a name of its own.
        return _remove(store, place if place in store.list_files() else place / FILE_NAME, as_json=arguments.json)
    return _add(store, place / FILE_NAME, as_json=arguments.json)


def _add(store: TrustStore, file: Path, *, as_json: bool) -> int:
    contents: list[bytes] = []
    entries = read_entry_file(file, contents.append).entries
    store.add(file, contents[0])
    names = [str(entry.keys.get("name")) for entry in entries]
    if as_json:
        show_json({"trusted": str(file), "servers": names})
        return 0
    show(f"trusted as it is now: {file} (servers: {', '.join(names) or 'none'})")
    show("a gateway that runs over stdio in that folder reads it when it is restarted")
    return 0


def _remove(store: TrustStore, file: Path, *, as_json: bool) -> int:
    if not store.remove(file):
        raise ConfigError(f"{file} was not trusted; trust --list shows what is")
    if as_json:
        show_json({"removed": str(file)})
    else:
        show(f"no longer trusted: {file}")
    return 0


def _print_files(store: TrustStore, *, as_json: bool) -> int:
    states = {file: store.judge(file) for file in store.list_files()}
    if as_json:
        show_json({"files": [{"file": str(file), "state": state.value} for file, state in states.items()]})
        return 0
    for file, state in states.items():
        show(f"{file}: {_STATES[state]}")
    if not states:
        show("nothing is trusted")
    return 0
