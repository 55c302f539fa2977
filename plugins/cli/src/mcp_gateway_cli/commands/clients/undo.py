"""`undo`: put files back as they were before a command changed them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import USAGE, describe_findings
from mcp_gateway.control.terminal import complain, show_json
from mcp_gateway.plugin import GatewayError, UsageError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.changes import restore_servers
from mcp_gateway_cli.clients.machine import Machine, find_machine
from mcp_gateway_cli.clients.own_file import find_named_file, init_lock
from mcp_gateway_cli.commands.clients import undo_report as report
from mcp_gateway_cli.commands.clients.prompts import NoAnswer, confirm, is_interactive
from mcp_gateway_cli.commands.clients.undo_report import Outcome, Undone
from mcp_gateway_cli.editing.errors import EditError, FileChanged
from mcp_gateway_cli.editing.files import read_content, replace_content
from mcp_gateway_cli.editing.journal import Edit, Journal, open_journal
from mcp_gateway_cli.secrets.keyring_moves import SOURCE, remove_secrets

_TreatFn = Callable[[Journal, Edit, FileChanged], Outcome]

_NOBODY = f"nobody can be asked here: {NAME} undo --all --yes puts these back; or repeat it in a terminal"


def run(context: ControlContext, arguments: Namespace) -> int:
    """Undo the last command; return 1 if a file was left."""
    machine, journal, named = find_machine(context.environ), open_journal(), find_named_file(context)
    if arguments.list:
        return _list(machine, journal, named, as_json=arguments.json)
    try:
        with init_lock():
            return _run(context, arguments, machine, journal, named)
    except NoAnswer:
        complain("", "nothing was put back")
        return USAGE


def _list(machine: Machine, journal: Journal, named: Path | None, *, as_json: bool) -> int:
    found = journal.list_batches()
    batches = select_batches(found, named)
    if as_json:
        report.show_json_list(batches)
    elif batches:
        report.show_list(batches, machine)
    else:
        report.show_nothing(machine, named, len(found))
    return 0


def _run(context: ControlContext, arguments: Namespace, machine: Machine, journal: Journal, named: Path | None) -> int:
    found = journal.list_batches()
    batches = select_batches(found, named)
    chosen = batches if arguments.all else batches[-1:]
    if arguments.all and chosen and not _agree(machine, chosen, arguments):
        complain("nothing was put back")
        return 0
    treat = _overwrite if arguments.force else _merge if arguments.merge else _refuse
    undone, problems = _undo(journal, [edit for edits in chosen for edit in edits], treat)
    problems += _take_out_secrets(context, [each.edit for each in undone])
    left = len(select_batches(journal.list_batches(), named))
    if arguments.json:
        restored = [str(each.edit.path) for each in undone]
        failure = describe_findings(problems, "files or secrets that were left")
        show_json({"restored": restored, "problems": problems, "left": left, **failure})
    elif chosen:
        report.show_undone(machine, undone, problems, left)
    else:
        report.show_nothing(machine, named, len(found))
    return 1 if problems else 0


def select_batches(batches: Iterable[list[Edit]], named: Path | None) -> list[list[Edit]]:
    """Return what was done for a file of servers, or to it.

    That is everything if no file is named.
    """
    if named is None:
        return list(batches)
    wanted = named.resolve()
    return [edits for edits in batches if any(wanted in _find_concerned(edit) for edit in edits)]


def _find_concerned(edit: Edit) -> set[Path]:
    return {path.resolve() for path in (edit.path, edit.batch.configuration) if path is not None}


def _agree(machine: Machine, batches: Sequence[list[Edit]], arguments: Namespace) -> bool:
    """Return whether a person wants all this undone."""
    if arguments.yes:
        return True
    if not arguments.json:
        report.show_list(batches, machine)
    if arguments.json or not is_interactive():
        raise UsageError(_NOBODY)
    return confirm(report.write_question(machine, batches), default=False)


def _undo(journal: Journal, edits: Sequence[Edit], treat: _TreatFn) -> tuple[list[Undone], list[str]]:
    """Undo edits, the newest first; return what happened, and the problems.

    A file that cannot be put back keeps its older edits, too. `treat` deals with a file that has been changed since.
    """
    undone: list[Undone] = []
    problems: dict[str, str] = {}
    for edit in reversed(edits):
        if str(edit.path) in problems:
            continue
        try:
            undone.append(Undone(edit, _undo_one(journal, edit, treat)))
        except GatewayError as error:
            problems[str(edit.path)] = str(error)
    return undone, list(problems.values())


def _undo_one(journal: Journal, edit: Edit, treat: _TreatFn) -> Outcome:
    try:
        if not journal.undo(edit):
            return Outcome.SAME
    except FileChanged as error:
        return treat(journal, edit, error)
    return Outcome.of(edit)


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


def _refuse(_: Journal, __: Edit, error: FileChanged) -> Outcome:
    raise EditError(f"{error}; --merge takes only the gateway out and puts its servers back, --force overwrites it")


def _overwrite(journal: Journal, edit: Edit, _: FileChanged) -> Outcome:
    replace_content(edit.path, read_content(edit.path), edit.read_backup())
    journal.forget(edit)
    return Outcome.of(edit)


def _merge(journal: Journal, edit: Edit, error: FileChanged) -> Outcome:
    """Take back what was done to the servers, and keep all else."""
    now = read_content(edit.path)
    if now is None:
        raise error
    change = restore_servers(edit.path, edit.read_backup(), now)
    if not change.is_empty:
        replace_content(edit.path, now, change.after)
    journal.forget(edit)
    return Outcome.SAME if change.is_empty else Outcome.MERGED
