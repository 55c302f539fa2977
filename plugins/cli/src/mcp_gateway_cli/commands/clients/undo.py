"""`undo`: put files back as they were before a command changed them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import describe_findings
from mcp_gateway.control.terminal import complain, show_json
from mcp_gateway.plugin import GatewayError, UsageError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.application import to_reason
from mcp_gateway_cli.clients.changes import FileChange, restore_servers
from mcp_gateway_cli.clients.machine import Machine, find_machine
from mcp_gateway_cli.clients.own_file import find_named_file, init_lock
from mcp_gateway_cli.commands.clients import undo_report as report
from mcp_gateway_cli.commands.clients.prompts import NoAnswer, confirm, is_interactive
from mcp_gateway_cli.commands.clients.undo_report import Outcome, Undone
from mcp_gateway_cli.editing.errors import EditError, FileChanged
from mcp_gateway_cli.editing.files import check_writable, read_content, replace_content
from mcp_gateway_cli.editing.journal import Edit, Journal, open_journal
from mcp_gateway_cli.secrets.keyring_moves import SOURCE, remove_secrets

_PlanFn = Callable[[Edit, FileChanged], FileChange]
"""Returns what becomes of a file that has been changed since, or raises why nothing does."""

_NOBODY = f"nobody can be asked here: {NAME} undo --all --yes puts these back; or repeat it in a terminal"


def run(context: ControlContext, arguments: Namespace) -> int:
    """Undo the last command; return 1 if a file was left."""
    machine, journal, named = find_machine(context.environ), open_journal(), find_named_file(context)
    if arguments.list:
        return _list(machine, journal, named, as_json=arguments.json)
    try:
        with init_lock():
            return _run(context, arguments, machine, journal, named)
    except NoAnswer as end:
        complain("", "nothing was put back")
        return end.code


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
    plan = _plan_overwriting if arguments.force else _plan_merge if arguments.merge else _refuse
    undone, problems = _undo(journal, chosen, plan)
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


def _undo(journal: Journal, batches: Sequence[list[Edit]], plan: _PlanFn) -> tuple[list[Undone], list[str]]:
    """Undo runs of commands, the newest first; return outcomes and problems.

    A run is undone as a whole or not at all: half of it could lead programs to a gateway without its servers. One that
    stays keeps the older ones of its files, too.
    """
    undone: list[Undone] = []
    problems: list[str] = []
    kept: set[Path] = set()
    for edits in reversed(batches):
        paths = {edit.path for edit in edits}
        if not paths & kept:
            done, found = _undo_batch(journal, edits, plan)
            undone += done
            problems += found
            if not found:
                continue
        kept |= paths
    return undone, problems


def _undo_batch(journal: Journal, edits: Sequence[Edit], plan: _PlanFn) -> tuple[list[Undone], list[str]]:
    """Undo one run of a command, if nothing stands in the way.

    The gateway's own file was the first to be written, and is the last to go.
    """
    if problems := _find_obstacles(journal, edits, plan):
        return [], problems
    undone: list[Undone] = []
    for edit in reversed(edits):
        try:
            undone.append(Undone(edit, _undo_one(journal, edit, plan)))
        except GatewayError as error:
            return undone, [str(error)]
    return undone, []


def _find_obstacles(journal: Journal, edits: Iterable[Edit], plan: _PlanFn) -> list[str]:
    """Return why files cannot be put back, before one is."""
    newest = {edit.path: edit for edit in edits}
    problems: list[str] = []
    for edit in newest.values():
        try:
            _check(journal, edit, plan)
        except GatewayError as error:
            problems.append(f"{edit.path}: {to_reason(error, edit.path)}")
    return problems


def _check(journal: Journal, edit: Edit, plan: _PlanFn) -> None:
    try:
        journal.check(edit)
    except FileChanged as error:
        if not plan(edit, error).is_empty:
            check_writable(edit.path)


def _undo_one(journal: Journal, edit: Edit, plan: _PlanFn) -> Outcome:
    try:
        return Outcome.of(edit) if journal.undo(edit) else Outcome.SAME
    except FileChanged as error:
        change = plan(edit, error)
    is_whole = change.after == edit.read_backup()
    if not change.is_empty:
        replace_content(edit.path, change.before, change.after, new_mode=edit.mode)
    journal.forget(edit)
    if is_whole:
        return Outcome.of(edit)
    return Outcome.KEPT if change.is_empty else Outcome.MERGED


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


def _refuse(edit: Edit, error: FileChanged) -> FileChange:
    whole = f"nothing of this {edit.batch.verb} was undone"
    if read_content(edit.path) is None:
        raise EditError(f"{error}; {whole}; to write it again: {NAME} undo --force")
    if edit.batch.configuration is not None and edit.path.resolve() == edit.batch.configuration.resolve():
        raise EditError(f"{error}; {whole}; to overwrite it: {NAME} undo --force")
    raise EditError(
        f"{error}; {whole}; to take only the gateway out of it and put its servers back: {NAME} undo --merge; "
        f"to overwrite it: {NAME} undo --force"
    )


def _plan_overwriting(edit: Edit, _: FileChanged) -> FileChange:
    return FileChange(edit.path, read_content(edit.path), edit.read_backup())


def _plan_merge(edit: Edit, error: FileChanged) -> FileChange:
    """Take back what was done to the servers, and keep all else."""
    now = read_content(edit.path)
    return _refuse(edit, error) if now is None else restore_servers(edit.path, edit.read_backup(), now)
