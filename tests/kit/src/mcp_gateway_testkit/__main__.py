"""Command line: write a working plugin from a template.

Run it as `python -m mcp_gateway_testkit new ranker my-ranker`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mcp_gateway_testkit.template import KINDS, TemplateError, write_plugin


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        folder = write_plugin(arguments.kind, arguments.name, arguments.into)
    except TemplateError as error:
        print(f"mcp_gateway_testkit: {error}", file=sys.stderr)
        return 1
    print(f"wrote {folder}; next: pip install {_as_argument(folder)} && pytest {_as_argument(folder)}")
    return 0


def _as_argument(folder: Path) -> str:
    """Return a path that pip does not take for a package."""
    return str(folder) if folder.is_absolute() or folder.parts[0] == ".." else f"./{folder}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mcp_gateway_testkit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    new = commands.add_parser("new", help="write a plugin that works, to start from")
    new.add_argument("kind", choices=KINDS, help="what the plugin is to be")
    new.add_argument("name", help="what it is to be called, in lower case: my-ranker")
    new.add_argument(
        "--into", type=Path, default=Path(), metavar="DIR", help="where to make its folder (default: here)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
