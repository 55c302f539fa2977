"""`pins` and `approve`: changed tool definitions and their approval.

A definition has changed if it differs from the one that was pinned when it was first seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.pinning.pins import Pins
from mcp_gateway.pinning.store import PinStore, open_pin_store, pin_name
from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.protocol.tool_names import SEPARATOR
from mcp_gateway.sessions.server_plugins import open_product
from mcp_gateway.text.hints import NO_SERVERS
from mcp_gateway.text.suggestions import suggest_with


def show_pins(context: ControlContext, arguments: Any) -> int:
    """Print each server's pins and the changes that await approval."""
    context.configure_quiet_logging()
    return anyio.run(_show, context, arguments.json)


def approve(context: ControlContext, arguments: Any) -> int:
    """Approve changed tool definitions of a server.

    All of them are approved, or only that of `tool`.
    """
    context.configure_quiet_logging()
    return anyio.run(_approve, context, arguments)


async def _show(context: ControlContext, as_json: bool) -> int:  # noqa: FBT001  # anyio.run takes no keywords
    found: dict[str, Pins] = {}
    async with _shelf(context) as shelf:
        for spec in context.servers.specs:
            found[spec.name] = await _load_all_pins(shelf, spec)
    if as_json:
        show_json({"servers": {name: _as_json(pins) for name, pins in found.items()}})
        return 0
    show(*([] if found or context.servers.disabled else [NO_SERVERS]))
    for name, pins in found.items():
        waiting = sum(bool(pin.pending) for pin in pins.values())
        show(f"{name}: {len(pins)} tools pinned, {waiting} changed")
        for tool, pin in pins.items():
            if pin.pending:
                show(f"  {tool} has changed: {pin.change}")
            if pin.flags:
                show(f"  {tool} is suspicious: {', '.join(pin.flags)}")
    if any(pin.pending for pins in found.values() for pin in pins.values()):
        show("to approve changes: mcp-orchestration-gateway approve SERVER [TOOL]")
    return 0


def _as_json(pins: Pins) -> dict[str, object]:
    return {tool: {"changed": pin.change or None, "suspicious": list(pin.flags)} for tool, pin in pins.items()}


async def _approve(context: ControlContext, arguments: Any) -> int:
    server, tool = arguments.server, arguments.tool
    spec = context.find_spec(server)
    approved: dict[str, str] = {}
    async with _shelf(context) as shelf:
        if tool is not None:
            tool = _find_pinned(spec, tool, await _load_all_pins(shelf, spec))
        for personal in (False, True):
            name = pin_name(spec, personal=personal)
            pins = await shelf.load(name)
            changed = {one: pin for one, pin in pins.items() if pin.pending and tool in (None, one)}
            if changed:
                await shelf.save(name, {**pins, **{one: pin.approve() for one, pin in changed.items()}})
            approved |= {one: pin.change for one, pin in changed.items()}
    if not approved:
        wanted = f"tool {tool!r} of server {server!r}" if tool else f"server {server!r}"
        raise ConfigError(f"nothing of {wanted} waits for approval; see mcp-orchestration-gateway pins")
    if arguments.json:
        show_json({"server": server, "approved": approved})
        return 0
    show(*(f"approved: {one}: {change}" for one, change in approved.items()))
    show("a running gateway notices when it next asks the server: at the next call of such a tool, at the latest")
    return 0


def _find_pinned(spec: ServerSpec, tool: str, pins: Pins) -> str:
    """Return the name of a pinned tool, also by its full name.

    Raises:
        ConfigError: there is none.

    """
    name = tool if tool in pins else tool.removeprefix(f"{spec.namespace}{SEPARATOR}")
    if name not in pins:
        advice = f"see {NAME} pins"
        raise ConfigError(f"server {spec.name!r} has no pinned tool {name!r}{suggest_with(name, pins, advice)}")
    return name


async def _load_all_pins(shelf: PinStore, spec: ServerSpec) -> Pins:
    """Return all pins of a server; public ones take precedence.

    Private pins are those of tools listed for callers' credentials.
    """
    return {**await shelf.load(pin_name(spec, personal=True)), **await shelf.load(pin_name(spec, personal=False))}


@asynccontextmanager
async def _shelf(context: ControlContext) -> AsyncIterator[PinStore]:
    async with open_product(context.settings.storage) as storage:
        yield open_pin_store(storage, context.environment.state)
