"""Hashes of a server's entry, which tell whether it leads elsewhere, has other credentials, or has changed at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import pbkdf2_hmac, sha256
from typing import Any

_ROUNDS = 5000


def fingerprint_of(keys: Mapping[str, Any]) -> str:
    """Hash where an entry leads, so that a stored tool list is not taken for that of another server."""
    leads = [str(keys.get(key, "")) for key in ("transport", "url", "command", "args")]
    return sha256("\0".join(leads).encode()).hexdigest()[:12]


def saved_of(keys: Mapping[str, Any]) -> str:
    """Hash an entry's credentials, so that what a server offers for them is not taken for what it offers for others.

    The hash is slow to guess at, for it stands in storage.
    """
    saved = [str(keys[key]) for key in ("auth_type", "auth_headers", "env") if keys.get(key)]
    if not saved:
        return ""
    said, salt = "\0".join(saved).encode("utf-8", "surrogatepass"), fingerprint_of(keys).encode()
    return pbkdf2_hmac("sha256", said, salt, _ROUNDS, 6).hex()


def digest_of(keys: Mapping[str, Any]) -> str:
    """Hash all of an entry, to tell whether it has changed; it may hold secrets, so it is never printed."""
    return sha256(json.dumps(keys, sort_keys=True, default=str).encode()).hexdigest()
