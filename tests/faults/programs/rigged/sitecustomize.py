"""What a gateway's own process is told wrongly: the time of day, and the addresses of names.

Python imports this where PYTHONPATH says so. FAULTS names a folder: its file `clock-offset` holds the seconds by which
the clock is off, and while `dns` exists names below .faulty.test have no address; else they are this machine.
Only Python's own event loop asks Python for addresses, so uvloop counts as not installed.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["FAULTS"])
_time, _getaddrinfo = time.time, socket.getaddrinfo


def shifted() -> float:
    try:
        return _time() + float((FOLDER / "clock-offset").read_text(encoding="utf-8"))
    except OSError:
        return _time()


def looked_up(host: Any, *rest: Any, **more: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if isinstance(name, str) and name.endswith(".faulty.test"):
        if (FOLDER / "dns").exists():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        host = "127.0.0.1"
    return _getaddrinfo(host, *rest, **more)


sys.modules["uvloop"] = None  # type: ignore[assignment]
time.time, socket.getaddrinfo = shifted, looked_up
