"""What the stdio transport reads from a server's entry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from mcp_gateway.plugin import Options


def _number_as_text(value: object) -> object:
    """Take `"PORT": 8080` for `"PORT": "8080"`, as other programs do."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class StdioOptions(Options):
    """How to start a server. Arguments and environment may hold secrets, so they are never printed."""

    command: str = Field("", description="The program to start")
    args: list[str] = Field(default_factory=list, repr=False, description="Its arguments")
    env: dict[str, Annotated[str, BeforeValidator(_number_as_text)]] = Field(
        default_factory=dict, repr=False, description="Environment variables, over a minimal environment"
    )
    cwd: Path | None = Field(None, description="The directory to start it in")
    url: str = Field("", repr=False, description="The program to start, if there is no command")

    @model_validator(mode="after")
    def _has_a_command(self) -> StdioOptions:
        if not self.program:
            raise ValueError('command: a stdio server needs the program to start, such as "command": "uvx"')
        return self

    @property
    def program(self) -> str:
        """The program to start."""
        return self.command or self.url


class StdioServerOptions(Options):
    """How much is read from the client."""

    max_request_bytes: int = Field(
        4 << 20, gt=0, alias="GATEWAY_MAX_REQUEST_BYTES", description="The longest request that is read"
    )
