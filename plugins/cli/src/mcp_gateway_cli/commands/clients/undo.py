"""`undo`: put files back as they were before a command changed them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import describe_findings
from mcp_gateway.control.terminal import complain, show, show_json
from mcp_gateway.plugin import GatewayError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.changes import restore_servers
from mcp_gateway_cli.clients.machine import Machine, find_machine
from mcp_gateway_cli.clients.own_file import init_lock
from mcp_gateway_cli.commands.clients.report import plural
from mcp_gateway_cli.editing.errors import EditError, FileChanged
from mcp_gateway_cli.editing.files import read_content, replace_content
from mcp_gateway_cli.editing.journal import Edit, Journal, open_journal
from mcp_gateway_cli.output.tables import show_table
from mcp_gateway_cli.secrets.keyring_moves import SOURCE, remove_secrets

_TreatFn = Callable[[Journal, Edit, FileChanged], None]


def run(context: ControlContext, arguments: Namespace) -> int:
    """Undo the last command; return 1 if a file was left."""
    machine, journal = find_machine(context.environ), open_journal()
    if arguments.list:
        return _list(machine, journal, as_json=arguments.json)
    with init_lock():
        edits = journal.list_edits() if arguments.all else journal.find_last_batch()
        treat = _overwrite if arguments.force else _merge if arguments.merge else _refuse
        restored, problems = _undo(journal, edits, treat)
        problems += _take_out_secrets(context, restored)
        left = len(_group(journal.list_edits()))
    if arguments.json:
        show_json(
            {
                "restored": [str(edit.path) for edit in restored],
                "problems": problems,
                "left": left,
                **describe_findings(problems, "files or secrets that were left"),
            }
        )
    else:
        _show(machine, edits, restored, problems, left)
    return 1 if problems else 0


def _undo(journal: Journal, edits: Sequence[Edit], treat: _TreatFn) -> tuple[list[Edit], list[str]]:
    """Undo edits, the newest first; return them and the problems.

    A file that cannot be put back keeps its older edits, too. `treat` deals with a file that has been changed since.
    """
    restored: list[Edit] = []
    problems: dict[str, str] = {}
    for edit in reversed(edits):
        if str(edit.path) in problems:
            continue
        try:
            try:
                journal.undo(edit)
            except FileChanged as error:
                treat(journal, edit, error)
        except GatewayError as error:
            problems[str(edit.path)] = str(error)
        else:
            restored.append(edit)
    return restored, list(problems.values())


def _take_out_secrets(context: ControlContext, restored: Iterable[Edit]) -> list[str]:
    """Remove the secrets of undone edits from the keyring; return the problems.

    What a file still refers to stays.
    """
    problems: list[str] = []
    for edit in restored:
        text = (read_content(edit.path) or b"").decode(errors="replace") if edit.secrets else ""
        names = [name for name in edit.secrets if f"${{{SOURCE}:{name}}}" not in text]
        if names:
            problems += remove_secrets(context.providers.variable_sources, names)
    return problems


def _refuse(_: Journal, __: Edit, error: FileChanged) -> None:
    raise EditError(f"{error}; --merge takes only the gateway out and puts its servers back, --force overwrites it")


def _overwrite(journal: Journal, edit: Edit, _: FileChanged) -> None:
    replace_content(edit.path, read_content(edit.path), edit.read_backup())
    journal.forget(edit)


def _merge(journal: Journal, edit: Edit, error: FileChanged) -> None:
    """Take back what was done to the servers, and keep all else."""
    now = read_content(edit.path)
    if now is None:
        raise error
    change = restore_servers(edit.path, edit.read_backup(), now)
    if not change.is_empty:
        replace_content(edit.path, now, change.after)
    journal.forget(edit)


def _list(machine: Machine, journal: Journal, *, as_json: bool) -> int:
    batches = _group(journal.list_edits())
    if as_json:
        show_json({"changes": [_write_batch(edits) for edits in reversed(batches)]})
        return 0
    rows = [
        (f"{edits[0].time:%Y-%m-%d %H:%M:%S} UTC", _verb_of(edits[0]), machine.shorten(edit.path))
        for edits in reversed(batches)
        for edit in edits
    ]
    if rows:
        show_table(("when", "command", "file"), rows)
    else:
        show("there is nothing to undo")
    return 0


def _write_batch(edits: Sequence[Edit]) -> dict[str, object]:
    return {
        "time": edits[0].time.isoformat(),
        "command": _verb_of(edits[0]),
        "files": [str(edit.path) for edit in edits],
    }


def _group(edits: Iterable[Edit]) -> list[list[Edit]]:
    """Return edits by the command that made them, the oldest first."""
    return [list(batch) for _, batch in groupby(edits, key=lambda edit: edit.batch)]


def _verb_of(edit: Edit) -> str:
    return edit.batch.partition(" ")[0]


def _show(
    machine: Machine, edits: Sequence[Edit], restored: Sequence[Edit], problems: Sequence[str], left: int
) -> None:
    if not edits:
        show("there is nothing to undo")
        return
    paths = dict.fromkeys(edit.path for edit in restored)
    for path in paths:
        show(f"  {machine.shorten(path)} is put back")
    show(f"{plural(len(paths), 'file')} put back")
    for problem in problems:
        complain(problem)
    if left and not problems:
        show(f"{plural(left, 'earlier change')} can be undone, too: {NAME} undo --list, {NAME} undo --all")
