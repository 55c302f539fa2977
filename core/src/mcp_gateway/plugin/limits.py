"""Limits of a server's messages, a base of transports' options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mcp_gateway.plugin.provider import Options

_ENVELOPE = 64 << 10
"""What a message may have besides its result."""

_LISTS = 8 << 20
"""Lists of tools come over the same wire, and are longer than the results that some want."""


def _in_lower_case(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class MessageLimits(Options):
    """The bound on a server's messages, as the environment bounds results."""

    max_result_bytes: int = Field(
        32 << 20, ge=10_000, le=256 << 20, alias="GATEWAY_MAX_RESULT_BYTES", description="How large a result may be"
    )
    overflow: Annotated[Literal["error", "cut"], BeforeValidator(_in_lower_case)] = Field(
        "error", alias="GATEWAY_RESULT_OVERFLOW", description="What becomes of larger ones: error, or cut"
    )
    kept_bytes: int = Field(
        64 << 20, ge=0, alias="GATEWAY_KEPT_RESULT_BYTES", description="How much of what was cut is kept whole"
    )

    @property
    def max_message_bytes(self) -> int:
        """The longest message that a transport reads; longer ones fail."""
        whole = self.kept_bytes if self.overflow == "cut" else 0
        return max(self.max_result_bytes, whole, _LISTS) + _ENVELOPE
