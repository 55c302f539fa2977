"""Changes of programs' files, planned and written one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_gateway.config.sources import SERVERS, config_folder
from mcp_gateway.config.trust import FILE_NAME
from mcp_gateway.plugin import ConfigError, GatewayError
from mcp_gateway.plugin_host.variable_sources import VariableSources
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.changes import FileChange, connect_program
from mcp_gateway_cli.clients.entry_forms import Launch
from mcp_gateway_cli.clients.folder_file import keep_trust
from mcp_gateway_cli.clients.imports import ImportPlan
from mcp_gateway_cli.clients.launch import describe_file, find_named_servers
from mcp_gateway_cli.clients.survey import FoundFile
from mcp_gateway_cli.editing.files import check_writable, replace_content
from mcp_gateway_cli.editing.journal import Batch, Journal, open_journal
from mcp_gateway_cli.secrets.keyring_moves import remove_secrets, store_secrets


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was left as it is, with the reason."""

    path: Path
    reason: str


def find_other_gateways(files: Iterable[FoundFile], launch: Launch) -> list[Problem]:
    """Return the programs whose gateway reads another file of servers.

    What moves out of such a program would be behind a gateway that it does not start.
    """
    if SERVERS in launch.environ:  # their entries are led to that file
        return []
    default = config_folder() / FILE_NAME
    return [
        Problem(file.path, f"its gateway reads {named}; to move its servers there: {NAME} init --config {named}")
        for file in files
        if any(server.entry for server in file.servers)
        for named in filter(None, (find_named_servers(raw.keys) for raw in file.own_entries[:1]))
        if named != default and not describe_file(named)
    ]


def plan_connections(
    files: Iterable[FoundFile], plan: ImportPlan, launch: Launch, *, move: bool
) -> tuple[list[FileChange], list[Problem]]:
    """Return the changes that put the gateway into these files.

    With `move`, what the plan imports goes out of them.
    """
    changes: list[FileChange] = []
    problems: list[Problem] = []
    for file in files:
        origins = [origin for server in plan.servers for origin in server.origins if origin.path == file.path]
        try:
            change = connect_program(file, launch, [(each.place, each.title) for each in origins] if move else ())
            if not change.is_empty:
                check_writable(change.path)
        except ConfigError as error:
            problems.append(Problem(file.path, to_reason(error, file.path)))
        else:
            changes += [] if change.is_empty else [change]
    return changes, problems


def write_changes(
    changes: Sequence[FileChange], batch: Batch, sources: VariableSources | None = None
) -> tuple[list[FileChange], list[Problem]]:
    """Write changes; return those that were written, and the problems of others.

    The secrets of a change go into the keyring first, and out of it again if its file cannot be written.

    If the first cannot be written, the rest is not: programs must not be led to a gateway without its file.
    """
    journal = open_journal()
    written: list[FileChange] = []
    problems: list[Problem] = []
    for change in changes:
        try:
            _write_change(change, journal, batch, sources or VariableSources())
        except GatewayError as error:
            problems.append(Problem(change.path, to_reason(error, change.path)))
            if not written:
                break
        else:
            written.append(change)
    return written, problems


def _write_change(change: FileChange, journal: Journal, batch: Batch, sources: VariableSources) -> None:
    names = [secret.name for secret in change.secrets if secret.is_new]
    store_secrets(sources, change.secrets)
    try:
        replace_content(change.path, change.before, change.after, journal, batch, secrets=names)
    except GatewayError:
        remove_secrets(sources, names)
        raise
    if change.after is not None:
        keep_trust(change.path, change.before, change.after)


def to_reason(error: GatewayError, path: Path) -> str:
    """Return an error in one line, without the name of its file."""
    return str(error).split("\n", 1)[0].removeprefix(f"{path}: ")
