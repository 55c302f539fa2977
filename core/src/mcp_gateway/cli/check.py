"""`check`: whether the configuration is right, and what is wrong with it."""

from __future__ import annotations

import json

from mcp_gateway.cli.reading import Reading
from mcp_gateway.pinshelf import filed_pins
from mcp_gateway.plugin import ConfigError


def check(reading: Reading, *, as_json: bool) -> int:
    """Print what is wrong; the exit code is 0 if nothing is."""
    problems: list[str] = []
    warnings: list[str] = []
    servers: list[str] = []
    for step in (_settings, _servers, _pins):
        try:
            step(reading, problems, warnings, servers)
        except ConfigError as error:
            problems += [line for line in str(error).splitlines() if line not in problems]
    if as_json:
        found = {"ok": not problems, "problems": problems, "warnings": warnings, "servers": servers}
        print(json.dumps(found))
    else:
        _print(problems, warnings, servers)
    return 1 if problems else 0


def _settings(reading: Reading, _problems: list[str], _warnings: list[str], _servers: list[str]) -> None:
    _ = reading.settings


def _servers(reading: Reading, problems: list[str], warnings: list[str], servers: list[str]) -> None:
    found = reading.servers
    servers += [spec.name for spec in found.specs]
    path = reading.environment.server_config
    unusable = [server for server in found.disabled if not server.on_purpose]
    problems += [f"{path}: server {server.name!r}: disabled: {server.reason}" for server in unusable]
    warnings += [warning for warning in reading.warnings if ": disabled: " not in warning]


def _pins(reading: Reading, _problems: list[str], warnings: list[str], _servers: list[str]) -> None:
    """Say which tools have changed, and which are suspicious, as far as files of this machine have it."""
    if reading.environment.pinning == "off":
        return
    for spec in reading.servers.specs:
        for tool, pin in filed_pins(spec, reading.environment.state).items():
            if pin.pending:
                warnings.append(f"server {spec.name!r}: tool {tool!r} has changed: {pin.change}")
            if pin.flags:
                warnings.append(f"server {spec.name!r}: tool {tool!r} is suspicious: {', '.join(pin.flags)}")


def _print(problems: list[str], warnings: list[str], servers: list[str]) -> None:
    for problem in problems:
        print(f"wrong: {problem}")
    for warning in warnings:
        print(f"warning: {warning}")
    if not problems:
        print(f"all is well: {len(servers)} server{'' if len(servers) == 1 else 's'}: {', '.join(servers) or 'none'}")
