"""Limits that core and plugins share, as bases of their options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mcp_gateway.plugin.provider import Options

_ENVELOPE = 64 << 10
"""How many bytes a message may have in addition to its result."""

_LISTS = 8 << 20
"""The least limit of a message: lists of tools use the same connection, and may exceed a low limit of results."""


def _in_lower_case(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


class ShutdownOptions(Options):
    """Options of a graceful shutdown."""

    grace: float = Field(
        1.5,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        alias="GATEWAY_SHUTDOWN_GRACE",
        description=(
            "Seconds that calls under way have at the end: after a first SIGTERM, SIGINT or SIGHUP (a second one ends"
            " all at once), or after the end of standard input, so that `printf '…' | mcp-orchestration-gateway` gets"
            " its answers; closing the servers takes a second more at the most, and most clients kill after four"
        ),
    )


class ServeOptions(ShutdownOptions):
    """Base of the options of server transports."""

    max_request_bytes: int = Field(
        4 << 20, ge=1000, alias="GATEWAY_MAX_REQUEST_BYTES", description="The longest request that is read"
    )


class SessionOptions(Options):
    """Base of options about sessions of clients."""

    idle_timeout: float = Field(
        1800.0,
        gt=0,
        le=10**9,
        allow_inf_nan=False,
        alias="MCP_GATEWAY_SESSION_IDLE_TIMEOUT",
        description="Seconds until a session of one caller only, or a client's own, is closed unused",
    )


class MessageLimits(Options):
    """Options that limit the size of a server's messages."""

    max_result_bytes: int = Field(
        32 << 20,
        ge=10_000,
        le=256 << 20,
        alias="GATEWAY_MAX_RESULT_BYTES",
        description="How large a result of a server's may be",
    )
    overflow: Annotated[Literal["error", "cut"], BeforeValidator(_in_lower_case)] = Field(
        "error",
        alias="GATEWAY_RESULT_OVERFLOW",
        description=(
            "What becomes of larger results of tools: `error`; or `cut`: the text is cut, with a link to a "
            "resource that has all of it, for ten minutes, for the same client only"
        ),
    )
    kept_bytes: int = Field(
        64 << 20,
        ge=0,
        alias="GATEWAY_KEPT_RESULT_BYTES",
        description="How much of what was cut is kept; the longest unused goes first",
    )

    @property
    def max_message_bytes(self) -> int:
        """The longest message that a transport reads, in bytes; longer ones fail."""
        whole = self.kept_bytes if self.overflow == "cut" else 0
        return max(self.max_result_bytes, whole, _LISTS) + _ENVELOPE
