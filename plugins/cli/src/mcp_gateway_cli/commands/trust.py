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
from mcp_gateway.control.terminal import show
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
        return _print_files(store)
    file = Path(arguments.folder).resolve() / FILE_NAME
    return _remove(store, file) if arguments.remove else _add(store, file)


def _add(store: TrustStore, file: Path) -> int:
    contents: list[bytes] = []
    entries = read_entry_file(file, contents.append).entries
    store.add(file, contents[0])
    names = ", ".join(str(entry.keys.get("name")) for entry in entries) or "none"
    show(f"trusted as it is now: {file} (servers: {names})")
    show("a gateway that runs over stdio in that folder reads it when it is started anew")
    return 0


def _remove(store: TrustStore, file: Path) -> int:
    if not store.remove(file):
        raise ConfigError(f"{file} was not trusted; trust --list shows what is")
    show(f"no longer trusted: {file}")
    return 0


def _print_files(store: TrustStore) -> int:
    files = store.list_files()
    for file in files:
        show(f"{file}: {_STATES[store.judge(file)]}")
    if not files:
        show("nothing is trusted")
    return 0
