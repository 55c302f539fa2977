"""Findings on other programs' files: servers that they start beside the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.protocol.tool_names import sanitize_server_name
from mcp_gateway_cli.clients.machine import Machine, find_machine
from mcp_gateway_cli.clients.own_file import find_named_file
from mcp_gateway_cli.clients.survey import FoundFile, survey_machine
from mcp_gateway_cli.doctor.files import check_secret_file, holds_secret
from mcp_gateway_cli.doctor.finding import Finding, remark, warn

_INIT = f"to move them into the gateway: {NAME} init; or remove them there"


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
        servers = [server.title for server in file.servers if not server.is_off]
        twice = [name for name in servers if sanitize_server_name(name) in names]
        if twice:
            words = f"{title} starts the gateway, and besides these of its servers: {', '.join(twice)}"
            yield warn("client-has-both", subject, f"{words}; its model has each of their tools twice", _INIT)
        elif servers:
            words = f"{title} starts the gateway, and besides servers of its own: {', '.join(servers)}"
            yield remark("client-has-more", subject, words, _INIT)
    if holds_secret(file.path):
        yield from check_secret_file(file.path)
