"""Fuzzes one target for as long as one likes: tox -e fuzz -- TARGET [options of libFuzzer]."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

PACKAGES = [
    "mcp_gateway",
    "mcp_gateway_ranker_bm25",
    "mcp_gateway_ranker_regex",
    "mcp_gateway_transport_http",
    "mcp_gateway_transport_stdio",
]


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        from .seeds import SEEDS
        from .targets import TARGETS, quiet

        quiet()
        if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
            raise SystemExit(f"{__doc__}\nTargets: {', '.join(TARGETS)}")
        TARGETS[sys.argv[1]](SEEDS[sys.argv[1]][0])  # what is imported later must be instrumented, too
    name, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="seeds-") as folder:
        for number, seed in enumerate(SEEDS[name]):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *options, folder], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
