"""`connect` and `disconnect`: the gateway's entry in a program's file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.application import write_changes
from mcp_gateway_cli.clients.changes import FileChange, connect_program, disconnect_program
from mcp_gateway_cli.clients.launch import find_installation, find_launch
from mcp_gateway_cli.clients.machine import Machine, find_machine
from mcp_gateway_cli.clients.own_file import find_own_file, find_variables, init_lock
from mcp_gateway_cli.clients.programs import find_program
from mcp_gateway_cli.clients.survey import FoundFile, inspect_file
from mcp_gateway_cli.commands.clients import report
from mcp_gateway_cli.editing.files import check_writable
from mcp_gateway_cli.editing.journal import Batch, new_batch, open_journal


def run_connect(context: ControlContext, arguments: Namespace) -> int:
    """Put the gateway into a program's file; return 0."""
    machine, path = find_machine(context.environ), find_own_file(context)
    launch = find_launch(find_installation(context.environ), find_variables(path, context.environ))
    with init_lock():
        file = _find_usable_file(machine, arguments.client)
        change = connect_program(file, launch)
        done = f"{file.program.title} has the gateway; restart it to use it"
        batch = new_batch("connect", [file.program.name], path)
        return _settle(machine, change, arguments, batch, (f"{file.program.title} has the gateway already", done))


def run_disconnect(context: ControlContext, arguments: Namespace) -> int:
    """Take the gateway out of a program's file; return 0."""
    machine = find_machine(context.environ)
    with init_lock():
        file = _find_usable_file(machine, arguments.client)
        change = disconnect_program(file) if file.gateways else FileChange(file.path, None, None)
        batch, title = new_batch("disconnect", [file.program.name], find_own_file(context)), file.program.title
        return _settle(machine, change, arguments, batch, (f"the gateway is not in {title}", *_describe_end(file)))


def _describe_end(file: FoundFile) -> list[str]:
    """Describe what was done, and how it is taken back."""
    done, back = f"{file.program.title} has the gateway no more", f"to take this back: {NAME} undo"
    edits = [edit for edits in open_journal().list_batches() for edit in edits]
    if not any(edit.batch.verb == "init" and edit.path.resolve() == file.path.resolve() for edit in edits):
        return [f"{done}; {back}"]
    return [
        f"{done}; servers that init moved from there stay in the gateway",
        f"{back}; to have those servers there again, repeat that until init is undone, too: {NAME} undo --list",
    ]


def _find_usable_file(machine: Machine, name: str) -> FoundFile:
    """Return the file of a program, or the one to make."""
    program = find_program(name)
    paths = program.find_files(machine)
    path = next((path for path in paths if path.is_file()), paths[0])
    if not path.exists():
        return FoundFile(program, path)
    file = inspect_file(program, path)
    if file.problem:
        raise ConfigError(f"{path}: {program.title} cannot be connected: {file.problem}")
    return file


def _settle(machine: Machine, change: FileChange, arguments: Namespace, batch: Batch, words: Sequence[str]) -> int:
    """Write a change, if it is wanted, and show it."""
    idle, *done = words
    changes = [] if change.is_empty else [change]
    for each in changes:
        check_writable(each.path)
    written = [] if arguments.dry_run else changes
    for problem in write_changes(written, batch)[1]:
        raise ConfigError(f"{problem.path}: {problem.reason}")
    if arguments.json:
        show_json({"changes": [*map(report.write_change, changes)], "written": [str(each.path) for each in written]})
    elif not changes:
        show(idle)
    else:
        report.show_changes(machine, changes)
        show(*(["nothing was written"] if arguments.dry_run else done))
    return 0
