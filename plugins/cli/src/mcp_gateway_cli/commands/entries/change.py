"""`remove`, `enable` and `disable`: change an entry of the file of servers."""

from __future__ import annotations

from argparse import Namespace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway_cli.entries.server_file import Entry, EntryFile, open_entries


def run_remove(context: ControlContext, arguments: Namespace) -> int:
    """Take a server out of the file."""
    held = open_entries(context)
    entry = held.find(arguments.name)
    held.save(held.remove(entry), "remove", entry.name)
    return _report(held, entry, "removed", as_json=arguments.json)


def run_enable(context: ControlContext, arguments: Namespace) -> int:
    """Switch a server on."""
    return _switch(context, arguments, "enabled")


def run_disable(context: ControlContext, arguments: Namespace) -> int:
    """Switch a server off; its entry stays."""
    return _switch(context, arguments, "disabled")


def _switch(context: ControlContext, arguments: Namespace, state: str) -> int:
    held = open_entries(context)
    entry, on = held.find(arguments.name), state == "enabled"
    if entry.is_on is not on or entry.keys is None:
        held.save(held.switch_entry(entry, on=on), state.removesuffix("d"), entry.name)
        return _report(held, entry, state, as_json=arguments.json)
    if arguments.json:
        show_json({state: entry.name, "file": str(held.path), "changed": False})
    else:
        show(f"{entry.name} is {state} already, in {held.path}")
    return 0


def _report(held: EntryFile, entry: Entry, what: str, *, as_json: bool) -> int:
    if as_json:
        show_json({what: entry.name, "file": str(held.path), "changed": True})
    else:
        show(f"{what} {entry.name}, in {held.path}; {held.describe_readers()}")
    return 0
