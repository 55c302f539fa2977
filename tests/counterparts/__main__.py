"""Tries published clients or servers with the gateway between: `python -m tests.counterparts clients|servers [NAME …]`.

Without names it tries all. It writes the rows of the table in core/docs, and ends with 1 if something is not as it
should be.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import client_runs, comparison


def main(arguments: Sequence[str]) -> int:
    """Try what is named."""
    kind, *names = arguments or ("",)
    if kind == "clients":
        return client_runs.run(names)
    if kind == "servers":
        return comparison.run(names)
    sys.stderr.write(f"{__doc__}")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
