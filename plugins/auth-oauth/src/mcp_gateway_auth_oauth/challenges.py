"""Challenges with which servers reject tokens (RFC 6750, RFC 9728)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import BaseModel

INSUFFICIENT_SCOPE = "insufficient_scope"

_MAX_SCOPES = 100
_SCOPE = re.compile(r"[!#-\[\]-~]{1,200}")
_URL = re.compile(r"https?://[!#-~]{1,2000}", re.IGNORECASE)

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # RFC 9110, section 5.6.2
_PART = re.compile(rf'({_TOKEN})(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN})))?')
_ESCAPED = re.compile(r"\\(.)")


class Challenge(BaseModel, frozen=True):
    """Bearer challenge: the scopes wanted, and the URL of the server's metadata."""

    error: str = ""
    scopes: tuple[str, ...] = ()
    metadata_url: str = ""

    def encode(self) -> str:
        """Return it as a header."""
        parameters = {"resource_metadata": self.metadata_url, "scope": " ".join(self.scopes)}
        return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value)


def parse_challenge(header: str) -> Challenge:
    """Parse the Bearer challenge of a `WWW-Authenticate` header.

    Whatever is not as it should be is left out.
    """
    scheme, found = "", dict[str, str]()
    for part in _PART.finditer(header):
        name, quoted, plain = part.groups()
        if quoted is None and plain is None:
            scheme = name.lower()
        elif scheme == "bearer":
            found.setdefault(name.lower(), plain or _ESCAPED.sub(r"\1", quoted or ""))
    url = found.get("resource_metadata", "")
    return Challenge(
        error=found.get("error", ""),
        scopes=tuple(filter(_SCOPE.fullmatch, found.get("scope", "").split()))[:_MAX_SCOPES],
        metadata_url=url if _URL.fullmatch(url) else "",
    )


def unite_scopes(*parts: Iterable[str]) -> tuple[str, ...]:
    """Return all scopes, each once, in the order in which they come."""
    return tuple(dict.fromkeys(scope for part in parts for scope in part))
