"""Options of the transport that serves windows."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from mcp_gateway.plugin import ServeOptions


class SharedOptions(ServeOptions):
    """Options of the `shared` server transport."""

    socket: Path | None = Field(
        None,
        alias="GATEWAY_SHARED_SOCKET",
        description="Where a shared gateway listens for windows; the window that starts it says so",
    )
    log: Path | None = Field(
        None,
        alias="GATEWAY_SHARED_LOG",
        description="The file that a shared gateway logs to; the window that starts it says so",
    )
    idle: float = Field(
        300.0,
        ge=0,
        le=10**9,
        allow_inf_nan=False,
        alias="GATEWAY_SHARED_IDLE",
        description="Seconds after its last window that a shared gateway ends",
    )
    max_windows: int = Field(
        100,
        ge=1,
        alias="GATEWAY_SHARED_WINDOWS",
        description="How many windows a shared gateway serves; more are refused",
    )
