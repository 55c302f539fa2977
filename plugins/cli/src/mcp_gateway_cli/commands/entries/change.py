"""`remove`, `enable` and `disable`: change an entry of the file of servers."""

from __future__ import annotations

from argparse import Namespace

from mcp_gateway.config.forms.values import SWITCHES
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway_cli.editing.document import Document
from mcp_gateway_cli.entries.server_file import Entry, EntryFile, open_entries


def run_remove(context: ControlContext, arguments: Namespace) -> int:
    """Take a server out of the file."""
    held = open_entries(context)
    entry = held.find(arguments.name)
    held.save(held.file.document.remove_value(entry.path), f"remove {entry.name}")
    return _report(held, entry, "removed", as_json=arguments.json)


def run_enable(context: ControlContext, arguments: Namespace) -> int:
    """Switch a server on."""
    held = open_entries(context)
    entry, document = held.find(arguments.name), held.file.document
    for key in SWITCHES.keys() & entry.keys:
        document = document.remove_value((*entry.path, key))
    return _switch(held, entry, document, "enabled", as_json=arguments.json)


def run_disable(context: ControlContext, arguments: Namespace) -> int:
    """Switch a server off; its entry stays."""
    held = open_entries(context)
    entry, document = held.find(arguments.name), held.file.document
    if entry.is_on:
        default = "enabled" if held.is_native else "disabled"
        key = next((key for key in SWITCHES if key in entry.keys), default)
        document = document.set_value((*entry.path, key), not SWITCHES[key])
    return _switch(held, entry, document, "disabled", as_json=arguments.json)


def _switch(held: EntryFile, entry: Entry, document: Document, state: str, *, as_json: bool) -> int:
    if entry.is_on == (state == "enabled"):
        if as_json:
            show_json({state: entry.name, "file": str(held.path), "changed": False})
        else:
            show(f"{entry.name} is {state} already, in {held.path}")
        return 0
    held.save(document, f"{state.removesuffix('d')} {entry.name}")
    return _report(held, entry, state, as_json=as_json)


def _report(held: EntryFile, entry: Entry, what: str, *, as_json: bool) -> int:
    if as_json:
        show_json({what: entry.name, "file": str(held.path), "changed": True})
    else:
        show(f"{what} {entry.name}, in {held.path}; a running gateway takes note within some seconds")
    return 0
