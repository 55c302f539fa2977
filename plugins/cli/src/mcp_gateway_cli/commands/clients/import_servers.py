"""`import`: add the servers of one program or file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import describe_findings
from mcp_gateway.control.terminal import complain, show, show_json
from mcp_gateway.plugin import ConfigError
from mcp_gateway.plugin_host.variable_sources import VariableSources
from mcp_gateway.text.suggestions import suggest_with
from mcp_gateway_cli.clients.application import write_changes
from mcp_gateway_cli.clients.changes import FileChange, add_servers
from mcp_gateway_cli.clients.imports import ImportPlan, plan_import, read_existing
from mcp_gateway_cli.clients.machine import Machine, find_machine
from mcp_gateway_cli.clients.own_file import find_own_file, init_lock
from mcp_gateway_cli.clients.programs import PROGRAMS, ClientProgram, find_program
from mcp_gateway_cli.clients.survey import FoundFile, inspect_file, survey_machine
from mcp_gateway_cli.clients.trial import keep_usable
from mcp_gateway_cli.commands.clients import report
from mcp_gateway_cli.commands.clients.prompts import NoAnswer, is_interactive
from mcp_gateway_cli.commands.clients.steps import move_secrets, try_with_progress
from mcp_gateway_cli.editing.files import check_writable
from mcp_gateway_cli.editing.journal import Batch, new_batch
from mcp_gateway_cli.secrets.keyring_moves import SOURCE, check_keyring, make_revealer


def run(context: ControlContext, arguments: Namespace) -> int:
    """Add the servers; return 1 if one was left out."""
    try:
        with init_lock():
            return _run(context, arguments)
    except NoAnswer as end:
        complain("", "nothing was written")
        return end.code


def _run(context: ControlContext, arguments: Namespace) -> int:
    machine, path = find_machine(context.environ), find_own_file(context)
    if arguments.secrets == SOURCE:
        check_keyring(context.providers.variable_sources)
    files = _select(find_sources(machine, arguments.source), arguments.server or [])
    plan = plan_import(files, read_existing(path), make_revealer(lambda: context.providers.variable_sources))
    if plan.new:
        check_writable(path)
    trials = {}
    if plan.new and not arguments.no_try and not arguments.dry_run:
        trials = try_with_progress(context, plan, path, is_quiet=arguments.json)
        plan = keep_usable(plan, trials)
    asks = not arguments.dry_run and not arguments.json and is_interactive()
    plan, secrets = move_secrets(context, plan, arguments.secrets, asks=asks)
    changes = [add_servers(path, [server.entry for server in plan.new], secrets)] if plan.new else []
    if not arguments.dry_run and changes:
        batch = new_batch("import", [server.name for server in plan.new], path)
        _write(changes, batch, context.providers.variable_sources if secrets else None)
    left_out = [item for item in plan.left_out if not item.is_off]
    if arguments.json:
        found = report.write_report(files, plan, trials, changes, [])
        written = [] if arguments.dry_run else [str(change.path) for change in changes]
        show_json({**found, "written": written, **describe_findings(left_out, "servers that were left out")})
    else:
        _show(machine, plan, changes, arguments)
    return 1 if left_out else 0


def find_sources(machine: Machine, source: str) -> list[FoundFile]:
    """Return the files of a program, or the named file.

    Raises:
        ConfigError: there is neither, or the file is broken.

    """
    path = Path(source).expanduser()
    if path.exists():
        files = [inspect_file(_find_owner(machine, path), path)]
    elif _looks_like_path(source):
        raise ConfigError(f"{source}: there is no such file")
    else:
        program = find_program(source)
        files = survey_machine(machine, [program])
        if not files:
            places = report.list_paths(program.find_files(machine), machine)
            raise ConfigError(f"{program.title} has no file of servers here; looked for {places}")
    for file in files:
        if file.problem:
            raise ConfigError(f"{file.path}: {file.problem}")
    return files


def _find_owner(machine: Machine, path: Path) -> ClientProgram:
    """Return the program that a file is of, or a nameless one."""
    for program in PROGRAMS:
        if path.resolve() in {file.resolve() for file in program.find_files(machine)}:
            return program
    return ClientProgram(name="", title=str(path), find_files=lambda _: (path,))


def _looks_like_path(source: str) -> bool:
    known = {program.name for program in PROGRAMS}
    return source not in known and (Path(source).suffix != "" or "/" in source or "\\" in source)


def _select(files: Sequence[FoundFile], names: Sequence[str]) -> list[FoundFile]:
    """Return the files with the named servers only."""
    known = [server.title for file in files for server in file.servers]
    for name in names:
        if name not in known:
            there = f"servers: {', '.join(known) or 'none'}"
            raise ConfigError(f"there is no server {name!r}{suggest_with(name, known, there)}")
    if not names:
        return list(files)
    return [replace(file, servers=tuple(each for each in file.servers if each.title in names)) for file in files]


def _write(changes: Sequence[FileChange], batch: Batch, sources: VariableSources | None) -> None:
    _, problems = write_changes(changes, batch, sources)
    for problem in problems:
        raise ConfigError(f"{problem.path}: {problem.reason}")


def _show(machine: Machine, plan: ImportPlan, changes: Sequence[FileChange], arguments: Namespace) -> None:
    report.show_plan(plan)
    report.show_changes(machine, changes)
    if arguments.dry_run:
        report.show_dry_end(plan, tries=not arguments.no_try)
    elif not changes:
        show(_describe_nothing(plan))
    else:
        show(f"imported {report.plural(len(plan.new), 'server')}", *report.describe_moved(changes))


def _describe_nothing(plan: ImportPlan) -> str:
    if any(not item.is_off for item in plan.left_out):
        return "nothing was imported"
    return "there is nothing new to import"
