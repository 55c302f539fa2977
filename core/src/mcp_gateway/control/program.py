"""The name by which the program was started."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mcp_gateway.protocol.implementation import NAME

_NAMES = (NAME, "mcp-gateway")
_AS_COMMAND = re.compile(rf"(?<![\w./\\-]){NAME}(?= [-a-z]|: )")


def find_program_name() -> str:
    """Return the name of the program as it was typed."""
    typed = Path(sys.argv[0]).stem if sys.argv else ""
    return typed if typed in _NAMES else NAME


def name_program(text: str) -> str:
    """Return a text whose command lines have the name that was typed."""
    return _AS_COMMAND.sub(find_program_name(), text)
