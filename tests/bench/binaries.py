"""Builds the downstream server and the load client on first use, and says where the bench keeps what it makes."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"


def cache_folder() -> Path:
    """Return the folder of all that the bench makes for itself: BENCH_CACHE, or one beside tox's environments."""
    folder = Path(os.environ.get("BENCH_CACHE") or HERE.parent.parent / ".tox" / "bench-cache").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def find_compiler() -> str | None:
    """Return the C compiler: the one in CC, or the first that is installed."""
    return os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@cache
def program(name: str) -> str:
    """Return the path of one of the C programs, built anew if its source is younger."""
    built, sources = cache_folder() / "bin" / name, [PROGRAMS / f"{name}.c", PROGRAMS / "wire.h"]
    if not built.exists() or built.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        compiler = find_compiler()
        if not compiler:
            raise SystemExit("The bench needs a C compiler: install cc, or name one in CC.")
        built.parent.mkdir(exist_ok=True)
        fresh = built.with_suffix(".new")
        subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(fresh), str(sources[0])], check=True)
        fresh.replace(built)
    return str(built)
