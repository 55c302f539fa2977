"""Redaction of secrets in text, and process hardening.

Both are a second line of defence, for foreign text in the log and for core dumps.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress

_MASK = "***"

_BEARER = re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_USERINFO = re.compile(r"(://)[^/\s@\"']+(@)")
_NAMED = re.compile(
    r"((?:password|passwd|secret|token|api[_-]?key|authorization)[\\\"']*\s*[=:]\s*[\\\"']*)"
    r"(?!bearer\b|basic\b|\*\*\*)[^\s\"'\\,;&}{]{6,}",
    re.IGNORECASE,
)


def mask_secrets(text: str) -> str:
    """Mask credentials in a text.

    These are bearer tokens, passwords in URLs, `password=...` and similar.
    """
    text = _BEARER.sub(rf"\1\2{_MASK}", text)
    text = _USERINFO.sub(rf"\1{_MASK}\2", text)
    return _NAMED.sub(rf"\1{_MASK}", text)


def keep_memory_private() -> None:
    """Disable core dumps and memory access by other processes.

    Without this other processes of the same user could read it. Does nothing on systems that do not support it.
    """
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


_SET_DUMPABLE = 4
"""`PR_SET_DUMPABLE` of prctl(2), needed because core dump handlers ignore the size limit."""
