"""`init`: import the servers of all programs, and connect these."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import USAGE, complain_error, describe_failure, describe_findings
from mcp_gateway.control.terminal import complain, show, show_json
from mcp_gateway.control.trials import Trial
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.application import Problem, find_other_gateways, plan_connections, write_changes
from mcp_gateway_cli.clients.changes import FileChange, add_servers
from mcp_gateway_cli.clients.entry_forms import Launch
from mcp_gateway_cli.clients.imports import ImportPlan, count_servers, plan_import, read_existing
from mcp_gateway_cli.clients.launch import find_installation, find_launch
from mcp_gateway_cli.clients.machine import Machine, find_machine
from mcp_gateway_cli.clients.own_file import find_own_file, find_variables, init_lock
from mcp_gateway_cli.clients.survey import FoundFile, find_idle_programs, survey_machine
from mcp_gateway_cli.clients.trial import Savings, estimate_savings, keep_usable, resolve_servers
from mcp_gateway_cli.commands.clients import report
from mcp_gateway_cli.commands.clients.prompts import NoAnswer, choose_numbers, confirm, is_interactive
from mcp_gateway_cli.commands.clients.steps import move_secrets, try_with_progress
from mcp_gateway_cli.editing.files import check_writable
from mcp_gateway_cli.editing.journal import new_batch
from mcp_gateway_cli.secrets.keyring_moves import SOURCE, MovedSecret, check_keyring, make_revealer

_NOBODY = "nobody can be asked here: repeat it with --yes to write this, or in a terminal"


@dataclass(frozen=True)
class _Setting:
    """The machine, the gateway's file, and the command that programs start."""

    machine: Machine
    path: Path
    launch: Launch


@dataclass(frozen=True)
class _Work:
    """How far it has come: what was found, planned and tried."""

    files: Sequence[FoundFile]
    plan: ImportPlan = field(default_factory=ImportPlan)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    savings: Savings | None = None
    secrets: Sequence[MovedSecret] = ()
    changes: Sequence[FileChange] = ()
    problems: Sequence[Problem] = ()


def run(context: ControlContext, arguments: Namespace) -> int:
    """Find, ask, try, write; return 0 if all went well."""
    asks = not arguments.yes and not arguments.dry_run and not arguments.json and is_interactive()
    is_dry = arguments.dry_run or not (asks or arguments.yes)
    machine, path = find_machine(context.environ), find_own_file(context)
    launch = find_launch(find_installation(context.environ), find_variables(path, context.environ))
    setting = _Setting(machine, path, launch)
    try:
        with init_lock():
            return _run(context, setting, arguments, asks=asks, is_dry=is_dry)
    except NoAnswer as end:
        complain("", "nothing was written")
        return end.code


def _run(context: ControlContext, setting: _Setting, arguments: Namespace, *, asks: bool, is_dry: bool) -> int:
    if arguments.secrets == SOURCE:
        check_keyring(context.providers.variable_sources)
    files = survey_machine(setting.machine)
    if not arguments.json:
        report.show_files(setting.machine, files, find_idle_programs(setting.machine, files))
    chosen = _choose(files, asks=asks)
    if files and not chosen:
        complain("nothing was written")
        return 0
    work = _plan(context, setting, chosen, arguments, asks=asks, is_dry=is_dry)
    if not work.plan.servers and not work.changes:
        return _end_without_servers(work, files, arguments)
    if not arguments.json and (asks or is_dry):
        report.show_all_changes(setting.machine, work.changes)
    if is_dry:
        return _end_dry(setting, work, files, arguments)
    if asks and work.changes and not confirm(f"write {report.plural(len(work.changes), 'file')}?"):
        complain("nothing was written")
        return 0
    batch = new_batch("init", [server.name for server in work.plan.servers], setting.path)
    sources = context.providers.variable_sources if work.secrets else None
    written, problems = write_changes(work.changes, batch, sources)
    work = replace(work, problems=[*work.problems, *problems])
    if not arguments.json and not asks:
        report.show_all_changes(setting.machine, written)
    return _end(setting, work, written, files, arguments)


def _choose(files: Sequence[FoundFile], *, asks: bool) -> list[FoundFile]:
    """Return the files to work with; unusable ones are only shown."""
    if not asks or not files:
        return list(files)
    chosen = choose_numbers("which programs?", len(files))
    return [files[number - 1] for number in chosen]


def _plan(
    context: ControlContext,
    setting: _Setting,
    files: Sequence[FoundFile],
    arguments: Namespace,
    *,
    asks: bool,
    is_dry: bool,
) -> _Work:
    reveal = make_revealer(lambda: context.providers.variable_sources)
    problems = [*_list_broken(files), *([] if arguments.keep else find_other_gateways(files, setting.launch))]
    files = [file for file in files if file.path not in {problem.path for problem in problems}]
    plan = plan_import(files, read_existing(setting.path), reveal)
    if plan.new:
        check_writable(setting.path)
    if not arguments.json and (plan.servers or plan.left_out):
        show("servers:")
        report.show_plan(plan)
    work = _Work(files, plan, problems=problems)
    if plan.servers and not is_dry and not arguments.no_try:
        work = _try(context, setting, work, is_quiet=arguments.json)
    plan, secrets = move_secrets(context, work.plan, arguments.secrets, asks=asks)
    work = replace(work, plan=plan, secrets=secrets)
    return _plan_changes(setting, work, move=not arguments.keep)


def _try(context: ControlContext, setting: _Setting, work: _Work, *, is_quiet: bool) -> _Work:
    """Try the servers; those that fail stay where they are."""
    trials = try_with_progress(context, work.plan, setting.path, is_quiet=is_quiet)
    plan = keep_usable(work.plan, trials)
    entries = [server.entry for server in plan.servers]
    savings = estimate_savings(resolve_servers(context, entries, setting.path), trials.values())
    if not is_quiet:
        report.show_left_out(plan.left_out[len(work.plan.left_out) :])
        report.show_savings(savings)
    return replace(work, plan=plan, trials=trials, savings=savings)


def _list_broken(files: Sequence[FoundFile]) -> list[Problem]:
    return [Problem(file.path, file.problem) for file in files if file.problem]


def _plan_changes(setting: _Setting, work: _Work, *, move: bool) -> _Work:
    """Plan what changes in the gateway's file and in those of programs.

    Without any server there is nothing that programs could reach through a gateway.
    """
    entries = [server.entry for server in work.plan.new]
    own_change = [add_servers(setting.path, entries, work.secrets)] if entries else []
    if not own_change and not read_existing(setting.path):
        return work
    changes, problems = plan_connections(work.files, work.plan, setting.launch, move=move)
    return replace(work, changes=[*own_change, *changes], problems=[*work.problems, *problems])


def _end_without_servers(work: _Work, files: Sequence[FoundFile], arguments: Namespace) -> int:
    """Say why there is nothing to do; return the exit code."""
    has_gateway = any(file.gateways for file in files)
    failed = {} if has_gateway else describe_findings(work.trials, "servers that do not work")
    if arguments.json:
        _show_json(work, files, [], failed or _describe_problems(work))
    elif work.trials:
        show(f"nothing was imported: none of these servers works; {NAME} init --no-try takes them all the same")
    elif has_gateway:
        show("nothing to do: the gateway is in these programs already")
    else:
        show(f"no program here has servers to import; add one: {NAME} add NAME -- COMMAND, then {NAME} connect PROGRAM")
    return 1 if failed or work.problems else 0


def _end_dry(setting: _Setting, work: _Work, files: Sequence[FoundFile], arguments: Namespace) -> int:
    if arguments.json:
        _show_json(
            work, files, [], _describe_problems(work) if arguments.dry_run else describe_failure("usage", _NOBODY)
        )
    else:
        report.show_problems(setting.machine, work.problems)
        report.show_dry_end(work.plan, tries=not arguments.no_try)
        complain_error(*([] if arguments.dry_run else [_NOBODY]))
    if not arguments.dry_run:
        return USAGE
    return 1 if work.problems else 0


def _end(
    setting: _Setting,
    work: _Work,
    written: Sequence[FileChange],
    files: Sequence[FoundFile],
    arguments: Namespace,
) -> int:
    if arguments.json:
        _show_json(work, files, written, _describe_problems(work))
    else:
        _show_end(setting, work, written, files)
    return 1 if work.problems else 0


def _show_end(setting: _Setting, work: _Work, written: Sequence[FileChange], files: Sequence[FoundFile]) -> None:
    report.show_problems(setting.machine, work.problems)
    if not written:
        show("nothing to do: no file changes" if not work.problems else "no file was changed")
        return
    show(
        _describe_result({change.path for change in written}, count_servers(setting.path), files),
        *report.describe_moved(written),
        f"to put every file back as it was: {NAME} undo",
    )


def _describe_result(written: Collection[Path], servers: int, files: Sequence[FoundFile]) -> str:
    """Describe what is behind the gateway now, and what to restart."""
    connected = [file for file in files if file.path in written or file.gateways]
    fresh = [file.program.title for file in connected if file.path in written]
    restarted = ", ".join(fresh) if len(fresh) < len(connected) else "it" if len(fresh) == 1 else "these"
    counted = f"{report.plural(servers, 'server')} behind the gateway"
    where = f"which is in {report.plural(len(connected), 'program')} now"
    return f"{counted}, {where}{f'; restart {restarted} to use it' if fresh else ''}"


def _describe_problems(work: _Work) -> dict[str, object]:
    return describe_findings(work.problems, "files that were left as they are")


def _show_json(
    work: _Work, files: Sequence[FoundFile], written: Sequence[FileChange], failure: Mapping[str, object]
) -> None:
    found = report.write_report(files, work.plan, work.trials, work.changes, work.problems)
    tokens = report.write_savings(work.savings)
    show_json({**found, "tokens": tokens, "written": [str(each.path) for each in written], **failure})
