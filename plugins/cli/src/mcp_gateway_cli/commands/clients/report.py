"""What `init` and its parts say: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcp_gateway.control.terminal import show
from mcp_gateway.control.trials import Trial
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.application import Problem
from mcp_gateway_cli.clients.changes import FileChange
from mcp_gateway_cli.clients.imports import ImportedServer, ImportPlan, LeftOut
from mcp_gateway_cli.clients.machine import Machine
from mcp_gateway_cli.clients.programs import ClientProgram
from mcp_gateway_cli.clients.survey import FoundFile
from mcp_gateway_cli.clients.trial import Savings
from mcp_gateway_cli.output.tables import show_table

Json = dict[str, Any]


def plural(count: int, word: str) -> str:
    """Return a number with its noun."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def show_files(machine: Machine, files: Sequence[FoundFile], idle: Sequence[ClientProgram]) -> None:
    """Print which programs were found."""
    rows = [
        (str(number), file.program.title, machine.shorten(file.path), describe_file(file))
        for number, file in enumerate(files, 1)
    ]
    if rows:
        show_table(("#", "program", "file", "servers"), rows, whole=("file",))
    for file in files:
        if file.problem:  # in the table it would be the widest cell
            show(f"{machine.shorten(file.path)} cannot be used: {file.problem}")
    if idle:
        names = ", ".join(program.name for program in idle)
        show(f"installed, and without MCP servers so far: {names}; to connect one: {NAME} connect NAME")


def describe_file(file: FoundFile) -> str:
    """Describe in a few words what is in a file."""
    if file.problem:
        return "cannot be used"
    words = [plural(len(file.servers), "server")] if file.servers or not file.gateways else []
    words += ["the gateway"] if file.gateways else []
    if file.elsewhere:
        count, more = len(file.elsewhere), " more" if file.servers else ""
        words += [f"{count}{more} for single projects {'stays' if count == 1 else 'stay'} there"]
    return ", ".join(words)


def show_plan(plan: ImportPlan) -> None:
    """Print which servers are imported, from where, and which are not."""
    for server in plan.servers:
        show(f"  {server.name}: {describe_origins(server)}{'' if server.is_new else '; the gateway has it already'}")
        for warning in server.warnings:
            show(f"    note: {warning}")
    show_left_out(plan.left_out)


def describe_origins(server: ImportedServer) -> str:
    """Describe the programs that a server comes from, and its names there."""
    programs: dict[str, list[str]] = {}
    for origin in server.origins:
        programs.setdefault(origin.title, []).append(origin.program)
    words: list[str] = []
    for title, found in programs.items():
        called = "" if title == server.name else f", where it is called {title}"
        words.append(f"from {', '.join(dict.fromkeys(found))}{called}")
    return "; ".join(words)


def show_dry_end(plan: ImportPlan, *, tries: bool) -> None:
    """Print that nothing was done, and what the real run does besides."""
    show("nothing was written, and no server was started")
    if tries and plan.new:
        show("the real run tries these servers first, and leaves out those that fail; --no-try takes them all")


def show_left_out(left_out: Iterable[LeftOut]) -> None:
    """Print which servers stay where they are."""
    for item in left_out:
        show(f"  not imported: {item.origin.title} of {item.origin.program}: {item.reason}")


def show_all_changes(machine: Machine, changes: Sequence[FileChange]) -> None:
    """Print what changes, with a heading, if anything does."""
    if changes:
        show("changes:")
        show_changes(machine, changes)


def show_changes(machine: Machine, changes: Sequence[FileChange]) -> None:
    """Print what changes in each file."""
    for change in changes:
        show(f"  {machine.shorten(change.path)}{'' if change.before is not None else ' (new)'}")
        for line in change.lines:
            show(f"    {line}")
        for secret in change.secrets:
            show(f"    {secret.name}: {'goes into' if secret.is_new else 'is in'} the system keyring")


def show_problems(machine: Machine, problems: Iterable[Problem]) -> None:
    """Print which files were left as they are."""
    for problem in problems:
        show(f"left as it is: {machine.shorten(problem.path)}: {problem.reason}")


def show_savings(savings: Savings) -> None:
    """Print how many tokens a conversation saves."""
    if savings.saved:
        show(
            f"tokens: {plural(savings.tools, 'tool')} would cost a model about {savings.before:,} in every "
            f"conversation, the gateway about {savings.after:,}: {savings.saved:,} saved"
        )
    elif savings.tools:
        show(
            f"tokens: {plural(savings.tools, 'tool')} cost a model about {savings.before:,} in every conversation, the "
            f"gateway about {savings.after:,}: with so few tools it saves none"
        )


def write_report(
    files: Sequence[FoundFile],
    plan: ImportPlan,
    trials: Mapping[str, Trial],
    changes: Sequence[FileChange],
    problems: Sequence[Problem],
) -> Json:
    """Return the same as JSON."""
    return {
        "programs": [_write_file(file) for file in files],
        "servers": [
            {
                "name": server.name,
                "new": server.is_new,
                "from": [{"program": each.program, "name": each.title} for each in server.origins],
                "tools": trials[server.name].tools if server.name in trials else None,
            }
            for server in plan.servers
        ],
        "left_out": [
            {"program": each.origin.program, "name": each.origin.title, "reason": each.reason} for each in plan.left_out
        ],
        "changes": [write_change(change) for change in changes],
        "problems": [{"file": str(problem.path), "reason": problem.reason} for problem in problems],
    }


def write_savings(savings: Savings | None) -> Json | None:
    """Return an estimate as JSON."""
    if savings is None:
        return None
    return {"before": savings.before, "after": savings.after, "saved": savings.saved}


def _write_file(file: FoundFile) -> Json:
    return {
        "program": file.program.name,
        "file": str(file.path),
        "servers": [server.title for server in file.servers],
        "connected": bool(file.gateways),
        "problem": file.problem,
    }


def write_change(change: FileChange) -> Json:
    """Return a change as JSON."""
    return {
        "file": str(change.path),
        "new": change.before is None,
        "lines": list(change.lines),
        "secrets": list_secrets(change),
    }


def describe_moved(changes: Iterable[FileChange]) -> list[str]:
    """Describe how many secrets have gone into the keyring, if any."""
    count = sum(len(list_secrets(change)) for change in changes)
    return [f"{plural(count, 'secret')} moved into the system keyring: {NAME} secret list"] if count else []


def list_secrets(change: FileChange) -> list[str]:
    """Return the names of the secrets that go into the keyring."""
    return [secret.name for secret in change.secrets if secret.is_new]


def list_paths(paths: Iterable[Path], machine: Machine) -> str:
    """Return paths in one line."""
    return ", ".join(machine.shorten(path) for path in paths)
