"""The hooks of this distribution: its verbs, as commands."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_gateway.plugin import Command, hookimpl
from mcp_gateway_cli.verbs import VERBS


@hookimpl
def mcp_gateway_commands() -> Iterator[Command]:
    """Yield the verbs of this distribution."""
    yield from VERBS
