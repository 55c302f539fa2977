"""Options of the command line that set a variable of the environment.

Errors name the option where one was typed, and the variable where that was set.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mcp_gateway.plugin import Command, ConfigError, UsageError
from mcp_gateway_cli.verbs import SERVE

_OF_ALL = {"config": "SERVER_CONFIG_PATH"}
_OF_SERVE = {"transport": "GATEWAY_TRANSPORT", "host": "GATEWAY_HOST", "port": "GATEWAY_PORT"}
_WRONG_OPTION = "environment: --"


def read_overrides(command: Command, options: Namespace) -> dict[str, str]:
    """Return the variables that a command line sets.

    Another command's `--transport` is its own: that of `add` tells how a server is reached.
    """
    known = {**_OF_ALL, **(_OF_SERVE if command is SERVE else {})}
    given = {variable: getattr(options, option, None) for option, variable in known.items()}
    return {variable: str(value) for variable, value in given.items() if value is not None}


@contextmanager
def name_typed_options(overrides: Mapping[str, str]) -> Iterator[None]:
    """Name options in an error, not the variables that they set.

    Raises:
        UsageError: the value of an option is wrong.
        ConfigError: something else is.

    """
    typed = {variable: f"--{option}" for option, variable in _OF_SERVE.items() if variable in overrides}
    try:
        yield
    except ConfigError as error:
        if not typed:
            raise
        text = re.sub("|".join(rf"\b{name}\b" for name in typed), lambda found: typed[found[0]], str(error))
        if any(line.startswith(_WRONG_OPTION) for line in text.splitlines()):
            raise UsageError("\n".join(_cut_prefix(text))) from None
        error.args = (text,)
        raise


def _cut_prefix(text: str) -> list[str]:
    """Return an error's lines, which begin with an option or variable."""
    return [line.removeprefix("environment: ") for line in text.splitlines()]
