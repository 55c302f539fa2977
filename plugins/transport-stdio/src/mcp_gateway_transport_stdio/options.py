"""Options of the stdio transports."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from mcp_gateway.plugin import MessageLimits

_SECRET_NAME = re.compile(r"key|token|secret|passw|auth|credential|dsn|url", re.IGNORECASE)
_FLAG = re.compile(r"-[\w-]*=")
_SHORT, _LONG = 4, 16


def _number_to_text(value: object) -> object:
    """Convert `"PORT": 8080` to `"PORT": "8080"`, as other programs do."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class StdioOptions(MessageLimits):
    """The command of a server, with arguments, environment and directory.

    Arguments and environment may contain secrets and are never printed.
    """

    server: str = Field("", alias="name", description="The server's name")
    command: str = Field("", description="The program to start")
    args: list[str] = Field(default_factory=list, repr=False, description="Its arguments")
    env: dict[str, Annotated[str, BeforeValidator(_number_to_text)]] = Field(
        default_factory=dict, repr=False, description="Environment variables, over a minimal environment"
    )
    cwd: Path | None = Field(None, description="The directory to start it in")
    url: str = Field("", repr=False, description="The program to start, if there is no command")

    @model_validator(mode="after")
    def _check_command(self) -> StdioOptions:
        if not self.program:
            raise ValueError('command: a stdio server needs the program to start, such as "command": "uvx"')
        if any(character < " " for path in (self.program, str(self.cwd or "")) for character in path):
            raise ValueError("command or cwd: there is a control character in it; is a backslash not written twice?")
        if "://" in self.program:
            raise ValueError('a URL is no program to start; write it as "url", with "transport": "http"')
        return self

    @property
    def secret_values(self) -> tuple[str, ...]:
        """Secret values of environment and arguments, longest first.

        They are masked in everything that is logged.
        """
        named = [value for name, value in self.env.items() if _SECRET_NAME.search(name) or len(value) >= _LONG]
        after = [value for flag, value in pairwise(self.args) if flag.startswith("-") and _SECRET_NAME.search(flag)]
        joined = [flag.partition("=")[2] for flag in self.args if _FLAG.match(flag) and _SECRET_NAME.search(flag)]
        parts = {part for value in (*named, *after, *joined) for part in value.split() if len(part) >= _SHORT}
        return tuple(sorted((part for part in parts if part[0] not in "/.~"), key=len, reverse=True))

    @property
    def program(self) -> str:
        """The program to start."""
        return self.command or self.url
