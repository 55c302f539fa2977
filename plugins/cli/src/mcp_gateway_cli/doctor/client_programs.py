"""Findings on other programs' files: servers that they start beside the gateway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.protocol.tool_names import sanitize_server_name
from mcp_gateway_cli.clients.machine import Machine, find_machine
from mcp_gateway_cli.clients.own_file import find_named_file
from mcp_gateway_cli.clients.survey import FoundFile, FoundServer, survey_machine
from mcp_gateway_cli.doctor.files import check_secret_file, holds_secret
from mcp_gateway_cli.doctor.finding import Finding, remark, split_mend, warn

_REMOVE = "remove them there"
_INIT = f"to move them into the gateway: {NAME} init; or {_REMOVE}"


def find_program_faults(context: ControlContext) -> list[Finding]:
    """Return what is wrong with the files of programs on this machine.

    Whoever names a file of servers has that one mended, and no other program's.
    """
    machine = find_machine(context.environ)
    served = {context.environment.server_config.resolve()}
    files = [file for file in survey_machine(machine) if file.path.resolve() not in served]
    names = {server.name for server in context.servers.disabled if not server.is_gateway}
    names |= {spec.name for spec in context.servers.specs}
    found = [finding for file in files for finding in _describe_file(machine, file, names)]
    return found if find_named_file(context) is None else [replace(finding, fix=None) for finding in found]


def _describe_file(machine: Machine, file: FoundFile, names: set[str]) -> Iterator[Finding]:
    subject, title = machine.shorten(file.path), file.program.title
    if file.problem:
        yield warn("client-file-broken", subject, f"the file of {title} cannot be read: {file.problem}", "correct it")
    elif file.gateways:
        yield from _describe_servers(subject, file, names)
    if holds_secret(file.path):
        yield from check_secret_file(file.path)


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
