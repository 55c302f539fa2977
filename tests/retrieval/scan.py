"""How often the scanner takes ordinary tools for attacks: on the definitions of all sets, none of which is one.

python tests/retrieval/scan.py [--show]
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict

from sets import everything

from mcp_gateway.pinning.scanner import OTHERS_TOOLS, RULES, distinctive, scan


def main() -> None:
    """Print a table: the rule, and how many of the tools break it."""
    tools = everything()
    names = defaultdict(set)
    for tool in tools:
        names[tool["server"]].add(tool["name"])
    known = distinctive({name for theirs in names.values() for name in theirs})
    counts: Counter[str] = Counter()
    flagged = 0
    for tool in tools:
        defined = {name: value for name, value in tool.items() if name not in ("id", "server")}
        broken = scan(defined, known - names[tool["server"]])
        counts.update(broken)
        flagged += bool(broken)
        if broken and "--show" in sys.argv:
            print(tool["id"], *broken)
    print(f"| rule | of {len(tools):,} tools |\n| --- | ---: |")
    for rule in (*RULES, OTHERS_TOOLS):
        print(f"| `{rule.id}` | {counts[rule.id]} |")
    print(f"| any | {flagged} ({flagged / len(tools):.2%}) |")


if __name__ == "__main__":
    main()
