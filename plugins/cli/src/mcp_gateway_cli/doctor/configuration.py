"""Findings on environment variables, file of servers, plugins and pins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from mcp_gateway.config.server_spec import NOT_USED
from mcp_gateway.config.sources import SERVERS, open_trust_store
from mcp_gateway.config.syntax.picture import split_lines, split_problems
from mcp_gateway.config.trust import FILE_NAME, Trust
from mcp_gateway.control.check import Findings, check_pins
from mcp_gateway.control.commands import collect_commands
from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError
from mcp_gateway.plugin_host.loader import Fault
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.doctor.finding import Finding, remark, report_error, split_mend, warn

FIRST_STEPS = (
    f"take over the servers of your other programs: {NAME} init; or add one: {NAME} add NAME -- COMMAND, "
    f"{NAME} add NAME URL"
)
"""What to type where nothing is configured."""


def find_configuration_faults(context: ControlContext) -> list[Finding]:
    """Return what is wrong before anything is started."""
    steps: tuple[Callable[[ControlContext], Iterator[Finding]], ...] = (
        _find_plugin_faults,
        _find_setting_faults,
        _find_server_faults,
        _find_trust_faults,
        _find_pin_faults,
    )
    found: dict[tuple[str, str], Finding] = {}
    for step in steps:
        try:
            findings = list(step(context))
        except ConfigError as error:
            findings = describe_problems(error)
        for finding in findings:
            found.setdefault((finding.subject, finding.message), finding)
    return list(found.values())


def describe_problems(error: ConfigError) -> list[Finding]:
    """Return a finding for each problem of a configuration error."""
    return [_describe_problem(problem) for problem in split_problems(str(error))]


def _describe_problem(problem: str) -> Finding:
    line, *picture = split_lines(problem)
    message, mend = split_mend(line)
    subject, separator, rest = message.partition(": ")
    about, words = (subject, rest) if separator else ("configuration", message)
    found = report_error("configuration-invalid", about, words, mend or ("correct it" if picture else ""))
    return replace(found, picture=tuple(picture))


def _find_plugin_faults(context: ControlContext) -> Iterator[Finding]:
    from mcp_gateway_cli.verbs import VERBS

    faults = (*context.providers.faults, *collect_commands(context.plugins, VERBS).faults)
    yield from {str(fault): _describe_fault(fault) for fault in faults}.values()
    if not context.plugins.origins:
        yield report_error(
            "no-plugins", "plugins", "no plugins are installed", f"install the default ones: {NAME} plugins"
        )


def _describe_fault(fault: Fault) -> Finding:
    message, mend = split_mend(fault.reason)
    is_version = "plugin API" in message
    return warn(
        "plugin-of-other-api" if is_version else "plugin-broken",
        str(fault.origin),
        message,
        mend or f"update {fault.origin.distribution}, or uninstall it",
    )


def _find_setting_faults(context: ControlContext) -> Iterator[Finding]:
    for caution in context.settings.cautions:
        message, mend = split_mend(caution.removeprefix("environment: "))
        yield warn("setting-unwise", "environment", message, mend)


def _find_server_faults(context: ControlContext) -> Iterator[Finding]:
    file, path = context.servers, str(context.servers_path)
    if not file.specs and not file.disabled:
        there = "has no servers" if context.servers_path.exists() else "does not exist"
        yield warn("no-servers", path, f"no servers are configured: this file {there}", FIRST_STEPS)
    for server in file.disabled:
        if server.on_purpose:
            yield remark("server-off", server.name, f"it is switched off: {server.reason}")
            continue
        message, mend = split_mend(server.reason)
        if server.is_gateway:
            yield remark("gateway-loop", server.name, f"it is left out: {message}", mend)
        else:
            advice = mend or f"correct its entry in {path}"
            yield report_error("server-invalid", server.name, f"it is {NOT_USED}: {message}", advice)
    yield from _find_warnings(context, path)


def _find_warnings(context: ControlContext, path: str) -> Iterator[Finding]:
    missing = f"{path}: there is no such file"  # said already
    for warning in context.warnings:
        if f": {NOT_USED}: " in warning or ": left out: " in warning or warning.startswith(missing):
            continue
        message, mend = split_mend(warning)
        code = "setting-unknown" if message.startswith("environment: nobody reads") else "configuration-doubtful"
        subject, _, rest = message.partition(": ")
        yield warn(code, subject, rest, mend)


def _find_trust_faults(context: ControlContext) -> Iterator[Finding]:
    """Yield that gateways of programs do not read this folder's file."""
    if context.environ.get(SERVERS):
        return
    file = Path.cwd().resolve() / FILE_NAME
    trust = open_trust_store().judge(file)
    mend = f"if it is yours: {NAME} trust; or name it with SERVER_CONFIG_PATH"
    if trust is Trust.CHANGED:
        message = "it has changed since it was trusted, so that a gateway which a program starts here does not read it"
        yield warn("folder-not-trusted", str(file), message, mend)
    elif trust is Trust.UNKNOWN:
        message = "commands read it, but a gateway which a program starts here does not: it is not trusted"
        yield remark("folder-not-trusted", str(file), message, mend)


def _find_pin_faults(context: ControlContext) -> Iterator[Finding]:
    found = Findings()
    check_pins(context, found)
    for line in found.warnings:
        subject, _, rest = line.partition(": ")
        server = subject.removeprefix("server ").strip("'")
        if " has changed: " in line:
            mend = f"look at it: {NAME} pins; if it is right: {NAME} approve {server}"
            yield warn("tool-changed", server, rest, mend)
        elif " is suspicious: " in line:
            yield warn("text-suspicious", server, rest, f"read what it says: {NAME} tools --server {server}")
        else:
            yield warn("name-clash", server, *split_mend(rest))
