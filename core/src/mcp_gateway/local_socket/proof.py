"""Proofs over loopback that both sides know the key.

The key is never sent. Any user of the machine can connect to a port, and can listen at one that a killed gateway had.
So each side answers the other's nonce with an HMAC (RFC 2104) under the key, which names its role: none can be sent
back as one's own.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal

Role = Literal["gateway", "client"]

_NONCE = re.compile(r"[0-9a-f]{64}")


def make_nonce() -> str:
    """Return a number that is used once."""
    return secrets.token_hex(32)


def is_nonce(value: object) -> bool:
    """Whether a value has the form of a nonce."""
    return isinstance(value, str) and _NONCE.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Challenge:
    """The nonces of a greeting, and the key."""

    key: str
    client_nonce: str
    gateway_nonce: str

    def prove(self, role: Role) -> str:
        """Return the proof of one side."""
        text = f"{role}\n{self.client_nonce}\n{self.gateway_nonce}"
        return hmac.new(self.key.encode(), text.encode(), "sha256").hexdigest()

    def is_proof(self, role: Role, value: object) -> bool:
        """Whether a value is the proof of one side."""
        given = value.encode(errors="replace") if isinstance(value, str) else b""
        return hmac.compare_digest(given, self.prove(role).encode())
