"""Validation of the configuration, with its problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.native_lists import count_builtin_tools, describe_long_list
from mcp_gateway.catalog.reservations import Reservations, describe_refusal
from mcp_gateway.config.server_spec import NOT_USED, ServerSpec
from mcp_gateway.config.settings import Environment
from mcp_gateway.config.syntax.picture import split_problems
from mcp_gateway.control.context import ControlContext
from mcp_gateway.pinning.store import read_pin_file
from mcp_gateway.plugin import Bound, ConfigError, Ranker, RankerContext, StorageBackend, StorageError
from mcp_gateway.protocol.primitives import TOOLS

if TYPE_CHECKING:
    from mcp_gateway.control.trials import Trial

STORAGE_SECONDS = 5.0
"""How long the storage may take to answer."""


@dataclass(slots=True)
class Findings:
    """Findings of a check.

    `off` are the servers that are switched off, `trials` those that were tried.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)
    off: list[str] = field(default_factory=list)
    trials: list[Trial] | None = None


def find_problems(
    context: ControlContext, *, connect: bool, on_tried: Callable[[Trial], None] = lambda _: None
) -> Findings:
    """Return what is wrong with the configuration.

    Servers are connected to only with `connect`; `on_tried` is called with each trial as it ends.
    """
    found = Findings(trials=[] if connect else None)
    steps: list[Callable[[ControlContext, Findings], None]] = [
        _check_settings,
        _check_servers,
        check_pins,
        check_storage,
        *([partial(_trials, on_tried=on_tried)] if connect else []),
        check_list_length,
    ]
    for step in steps:
        try:
            step(context, found)
        except ConfigError as error:
            found.problems += [problem for problem in split_problems(str(error)) if problem not in found.problems]
    return found


def _check_settings(context: ControlContext, found: Findings) -> None:
    found.warnings += context.settings.cautions


def _check_servers(context: ControlContext, found: Findings) -> None:
    """Collect servers that cannot be used, and failed preflight checks."""
    file, path = context.servers, context.environment.server_config
    found.servers += [spec.name for spec in file.specs]
    found.off += [server.name for server in file.disabled if server.on_purpose]
    unusable = [server for server in file.disabled if not server.on_purpose and not server.is_gateway]
    found.problems += [f"{path}: server {server.name!r} is {NOT_USED}: {server.reason}" for server in unusable]
    if found.trials is None:
        found.problems += [
            f"{path}: server {spec.name!r}: {obstacle}" for spec in file.specs for obstacle in _obstacles(spec)
        ]
    found.warnings += [warning for warning in context.warnings if f": {NOT_USED}: " not in warning]


def _obstacles(spec: ServerSpec) -> list[str]:
    bound: tuple[Bound[object] | None, ...] = (spec.client_transport, spec.auth)
    return [problem for plugin in bound if plugin and plugin.preflight and (problem := plugin.preflight())]


def check_pins(context: ControlContext, found: Findings) -> None:
    """Collect tools that have changed, look suspicious or are refused.

    Only the pin files of this machine are read.
    """
    if context.environment.pinning == "off":
        return
    reservations = Reservations.of(context.servers.specs, context.servers.disabled)
    for spec in context.servers.specs:
        pins = read_pin_file(spec, context.environment.state)
        seen = Listing(
            spec.name, tuple({"name": tool} for tool in pins), namespace=spec.namespace, max_name=spec.max_name
        )
        found.warnings += [describe_refusal(spec.name, refusal) for refusal in reservations.admit(seen).refused]
        for tool, pin in pins.items():
            if pin.pending:
                found.warnings.append(f"server {spec.name!r}: tool {tool!r} has changed: {pin.change}")
            if pin.flags:
                found.warnings.append(f"server {spec.name!r}: tool {tool!r} is suspicious: {', '.join(pin.flags)}")


def check_list_length(context: ControlContext, found: Findings) -> None:
    """Warn if more tools are listed than clients take.

    Without trials they are those that were seen before.
    """
    specs = {spec.name: spec for spec in context.servers.specs if TOOLS.name in spec.exposed}
    if found.trials is not None:
        counts = [trial.tools for trial in found.trials if trial.server in specs]
    else:
        counts = [len(_known_tools(spec, context.environment)) for spec in specs.values()]
    count = sum(counts) + count_builtin_tools(context.servers.specs)
    found.warnings += [line for line in [describe_long_list(count)] if line]


def _known_tools(spec: ServerSpec, environment: Environment) -> list[str]:
    pins = {} if environment.pinning == "off" else read_pin_file(spec, environment.state)
    return [tool for tool in pins if spec.tool_policy.permits(tool)]


def check_storage(context: ControlContext, _found: Findings) -> None:
    """Report whether the storage answers and the rankers open."""
    import anyio

    settings = context.settings
    anyio.run(_try_storage, settings.storage, settings.rankers)


async def _try_storage(storage: Bound[StorageBackend], rankers: Mapping[str, Bound[Ranker]]) -> None:
    import anyio

    from mcp_gateway.sessions.server_plugins import open_product

    async with open_product(storage) as backend:
        try:
            with anyio.fail_after(STORAGE_SECONDS):
                await backend.get("mcp-gateway:check")
        except (StorageError, TimeoutError) as error:
            reason = str(error) or f"it did not answer within {STORAGE_SECONDS:g} s"
            raise ConfigError(f"environment: STORAGE_BACKEND={storage.name}: {reason}") from None
        for name, bound in rankers.items():
            others = {other: found for other, found in rankers.items() if other != name}
            async with open_product(bound, RankerContext(backend, others)):
                pass


def _trials(context: ControlContext, found: Findings, on_tried: Callable[[Trial], None]) -> None:
    """Try every server."""
    from mcp_gateway.control.trials import try_all

    found.trials = try_all(context, on_tried)
    path = context.environment.server_config
    found.problems += [f"{path}: {trial.reason}" for trial in found.trials if not trial.ok and not trial.is_loop]
    found.warnings += [f"{path}: {trial.reason}" for trial in found.trials if trial.is_loop]
    refused = (line for trial in found.trials for line in (*trial.refused, *trial.idle_globs))
    found.warnings += [line for line in refused if line not in found.warnings]
    found.warnings += [line for trial in found.trials for line in trial.missing]
    found.warnings += [line for trial in found.trials for line in trial.left_out]
    found.warnings += [
        f"server {trial.server!r}: {part} is suspicious: {', '.join(rules)}"
        for trial in found.trials
        for part, rules in trial.suspicious.items()
    ]
