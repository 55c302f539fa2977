"""The examination: all that is looked at, within a time limit."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import anyio.to_thread

from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError
from mcp_gateway_cli.doctor.client_programs import find_program_faults
from mcp_gateway_cli.doctor.configuration import describe_problems, find_configuration_faults
from mcp_gateway_cli.doctor.files import find_file_faults
from mcp_gateway_cli.doctor.finding import EXIT_CODES, Finding, warn
from mcp_gateway_cli.doctor.ports import find_address_faults
from mcp_gateway_cli.doctor.processes import find_gateway_faults
from mcp_gateway_cli.doctor.servers import ServerExamination
from mcp_gateway_cli.doctor.storage import find_storage_faults

OnProgressFn = Callable[[str], None]
"""Is called with a line that says how far it is."""

_Probe = Callable[[], Awaitable[Sequence[Finding]]]


def examine(context: ControlContext, seconds: float, on_progress: OnProgressFn) -> list[Finding]:
    """Return all findings, the worst first."""
    # Of glibc: without it, a DNS server that does not answer holds up the end of the process for half a minute.
    os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:1")
    found = find_configuration_faults(context)
    try:
        context.configure_quiet_logging()
    except ConfigError:  # it is among the findings already
        return _sort(found)
    return _sort([*found, *anyio.run(_run_probes, context, seconds, on_progress)])


def _sort(findings: Sequence[Finding]) -> list[Finding]:
    unique: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        unique.setdefault((finding.subject, finding.message), finding)
    return sorted(unique.values(), key=lambda finding: -EXIT_CODES[finding.severity])


async def _run_probes(context: ControlContext, seconds: float, on_progress: OnProgressFn) -> list[Finding]:
    probes: dict[str, _Probe] = {
        "servers": partial(_examine_servers, context, seconds, on_progress),
        "storage": partial(find_storage_faults, context),
        "files": partial(_run_in_thread, find_file_faults, context),
        "programs": partial(_run_in_thread, find_program_faults, context),
        "address": partial(_run_in_thread, find_address_faults, context),
        "gateways": partial(find_gateway_faults, context),
    }
    found: dict[str, Sequence[Finding]] = {}

    async def run_probe(name: str, probe: _Probe) -> None:
        with anyio.move_on_after(seconds) as scope:
            try:
                found[name] = await probe()
            except ConfigError as error:
                found[name] = describe_problems(error)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                found[name] = [warn("probe-failed", name, f"this could not be looked at: {reason}")]
        if scope.cancelled_caught:
            found[name] = [warn("probe-failed", name, f"this could not be looked at within {seconds:g} s")]

    async with anyio.create_task_group() as tasks:
        for name, probe in probes.items():
            tasks.start_soon(run_probe, name, probe)
    return [finding for name in probes for finding in found[name]]


async def _run_in_thread(probe: Callable[[ControlContext], list[Finding]], context: ControlContext) -> list[Finding]:
    return await anyio.to_thread.run_sync(probe, context, abandon_on_cancel=True)


async def _examine_servers(context: ControlContext, seconds: float, on_progress: OnProgressFn) -> list[Finding]:
    specs = context.servers.specs
    tried: list[str] = []

    def on_tried(server: str) -> None:
        tried.append(server)
        waiting = ", ".join(spec.name for spec in specs if spec.name not in tried)
        on_progress(f"{len(tried)} of {len(specs)} servers examined{f'; waiting for: {waiting}' if waiting else ''}")

    if specs:
        on_progress(f"examining {len(specs)} server{'' if len(specs) == 1 else 's'}")
    # A little less than the whole: it ends by itself, and loses nothing.
    return await ServerExamination(context, seconds * 0.9, on_tried).run()
