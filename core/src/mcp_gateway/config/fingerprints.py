"""Fingerprints of a server entry.

They show whether an entry has another endpoint, other credentials, or any change at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import pbkdf2_hmac, sha256
from typing import Any

# It takes about a millisecond per entry, at each start and reload.
_ROUNDS = 5000


def fingerprint_of(keys: Mapping[str, Any]) -> str:
    """Hash the endpoint of an entry.

    It keeps a stored listing from being used for another server of the same name.
    """
    leads = [str(keys.get(key, "")) for key in ("transport", "url", "command", "args")]
    leads += [str(keys[key]) for key in ("socket",) if key in keys]
    return sha256("\0".join(leads).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def credentials_hash(keys: Mapping[str, Any]) -> str:
    """Hash the credentials of an entry.

    It keeps a stored listing from being used with other credentials. The hash is slow to compute, because it is in
    storage, where somebody could try to guess the credentials from it.
    """
    saved = [str(keys[key]) for key in ("auth_type", "auth_headers", "env", "cert") if keys.get(key)]
    if not saved:
        return ""
    # Salted with the endpoint: equal credentials of two servers must have different hashes in storage.
    password, salt = "\0".join(saved).encode("utf-8", "surrogatepass"), fingerprint_of(keys).encode()
    return pbkdf2_hmac("sha256", password, salt, _ROUNDS, 6).hex()


def digest_of(keys: Mapping[str, Any]) -> str:
    """Hash a whole entry, to detect changes.

    The entry may contain secrets, so the hash is never printed.
    """
    return sha256(json.dumps(keys, sort_keys=True, default=str).encode()).hexdigest()
