"""Findings on other programs' files: the gateway in them, and other servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mcp_gateway.config.sources import config_folder
from mcp_gateway.config.trust import FILE_NAME
from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.protocol.tool_names import sanitize_server_name
from mcp_gateway_cli.clients.imports import read_existing
from mcp_gateway_cli.clients.launch import describe_fault, find_named_servers
from mcp_gateway_cli.clients.machine import Machine, find_machine
from mcp_gateway_cli.clients.own_file import find_named_file, find_own_file
from mcp_gateway_cli.clients.survey import FoundFile, FoundServer, survey_machine
from mcp_gateway_cli.doctor.files import check_secret_file, holds_secret
from mcp_gateway_cli.doctor.finding import Finding, remark, report_error, split_mend, warn

_REMOVE = "remove them there"
_INIT = f"to move them into the gateway: {NAME} init; or {_REMOVE}"


def find_program_faults(context: ControlContext) -> list[Finding]:
    """Return what is wrong with the files of programs on this machine.

    Whoever names a file of servers has that one mended, and no other program's.
    """
    machine = find_machine(context.environ)
    served = {context.environment.server_config.resolve()}
    files = [file for file in survey_machine(machine) if file.path.resolve() not in served]
    found = [finding for file in files for finding in _describe_file(context, machine, file)]
    return found if find_named_file(context) is None else [replace(finding, fix=None) for finding in found]


def _describe_file(context: ControlContext, machine: Machine, file: FoundFile) -> Iterator[Finding]:
    subject, title = machine.shorten(file.path), file.program.title
    if file.problem:
        yield warn("client-file-broken", subject, f"the file of {title} cannot be read: {file.problem}", "correct it")
    elif file.gateways:
        faults = list(_describe_entries(context, subject, file))
        yield from faults or _describe_servers(subject, file, _find_names(context, file))
    if holds_secret(file.path):
        yield from check_secret_file(file.path)


def _describe_entries(context: ControlContext, subject: str, file: FoundFile) -> Iterator[Finding]:
    """Yield why a program cannot start the gateway."""
    own_file = find_own_file(context)
    for raw in file.own_entries:
        if raw.keys.get("enabled") is not False and (fault := describe_fault(raw.keys, context.environ, own_file)):
            words = f"{file.program.title} cannot start the gateway: {fault}"
            yield report_error("client-gateway-broken", subject, words, f"{NAME} connect {file.program.name}")


def _find_names(context: ControlContext, file: FoundFile) -> set[str]:
    """Return the servers of the gateway that a program starts."""
    named = [find_named_servers(raw.keys) for raw in file.own_entries]
    if paths := {path for path in named if path is not None}:
        return {name for path in paths for name in _read_names(path)}
    if find_named_file(context) is not None:
        return set(_read_names(config_folder() / FILE_NAME))
    disabled = {server.name for server in context.servers.disabled if not server.is_gateway}
    return disabled | {spec.name for spec in context.servers.specs}


def _read_names(path: Path) -> Iterator[str]:
    """Yield the names of the servers in a readable file."""
    with suppress(ConfigError):
        yield from (str(entry["name"]) for entry in read_existing(path))


def _describe_servers(subject: str, file: FoundFile, names: set[str]) -> Iterator[Finding]:
    """Yield what a program with the gateway starts besides.

    A server that cannot be moved is told with the reason, and with no mend: `init` would only leave it out again.
    """
    title = file.program.title
    servers = [server for server in file.servers if not server.is_off]
    twice = [server for server in servers if sanitize_server_name(server.title) in names]
    others = [server for server in servers if server not in twice]
    if twice:
        words = f"{title} starts the gateway, and besides these of its servers: {_join_titles(twice)}"
        mend = _INIT if all(server.entry for server in twice) else _REMOVE
        yield warn("client-has-both", subject, f"{words}; its model has each of their tools twice", mend)
    if movable := [server for server in others if server.entry]:
        words = f"{title} starts the gateway, and besides servers of its own: {_join_titles(movable)}"
        yield remark("client-has-more", subject, f"{words}; {NAME} init moves those that work")
    for server in others:
        if server.problem:
            words = f"{title} has {server.title} beside the gateway, which cannot be moved there"
            yield remark("client-has-more", subject, f"{words}: {split_mend(server.problem)[0]}")


def _join_titles(servers: Iterable[FoundServer]) -> str:
    return ", ".join(server.title for server in servers)
