"""`schema`: print the JSON Schema of the server file."""

from __future__ import annotations

from argparse import Namespace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.schema import file_schema
from mcp_gateway.control.terminal import show_json


def run(context: ControlContext, _arguments: Namespace) -> int:
    """Print the schema."""
    show_json(file_schema(context.providers), indent=2)
    return 0
