"""Describes the machine and the day, so that a table says where its numbers come from."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Return what may matter to the numbers."""
    processor = platform.processor() or platform.machine()
    memory = ""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
        total = int(Path("/proc/meminfo").read_text().split()[1])
        memory = f"{total / 1048576:.0f} GiB"
    return {
        "cores": os.cpu_count(),
        "processor": processor,
        "memory": memory,
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "date": time.strftime("%Y-%m-%d"),
    }
