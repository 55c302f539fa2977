"""What looks like a secret, by its name and by its value."""

from __future__ import annotations

import re
from pathlib import Path

NAMES = re.compile(
    r"token|secret|passw|passphrase|api.?key|access.?key|private.?key|auth(?!or(?!iz))|credential|cookie|bearer|signature"
    r"|(^|[_-])(key|pat|pwd|pass)$",
    re.IGNORECASE,
)
"""The names of secrets; those of authors are not among them."""

VALUES = re.compile(
    r"(gh[pousr]_|github_pat_|glpat-|sk-|xox[abprs]-|AKIA|AIza|ya29\.|eyJ[\w-]+\.|npm_|hf_|lin_api_|ntn_|secret_)[\w.-]{8,}"
)
"""The values of secrets that begin as those of some service do."""

FLAG = re.compile(r"-{1,2}(?P<name>[\w-]+)(?:=(?P<value>.*))?", re.DOTALL)
QUERY = re.compile(r"([?&](?P<name>[^=&#]+)=)(?P<value>[^&#]+)")

_COUNTS = re.compile(r"max|limit|tokens|ttl|timeout|expir|port|length", re.IGNORECASE)
_PLAIN = re.compile(r"(?i)true|false|yes|no|on|off|none|null|https?://[^@?]*")


def looks_secret(name: str, value: str) -> bool:
    """Whether a value is a secret that can be moved elsewhere.

    What has a variable in it is none itself, and neither are switches, counts, addresses and paths that are there.
    """
    if not value.strip() or "${" in value or _PLAIN.fullmatch(value):
        return False
    if value.isdecimal() and _COUNTS.search(name):
        return False
    return VALUES.search(value) is not None or (NAMES.search(name) is not None and not _is_path(value))


def _is_path(value: str) -> bool:
    try:
        return Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False
