"""Where requests go, and what each says of it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from mcp_gateway.plugin import encode_header_value

_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is: the beginning of a URL, and the rest.

    `host` is what the field of that name says, `login` the user and the password of the URL.
    """

    origin: str
    target: str
    host: str
    login: str = ""

    @classmethod
    def of(cls, url: str) -> Self:
        """Return where a URL leads."""
        parts = urlsplit(url)
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else (parts.hostname or "")
        port = parts.port or _USUAL_PORTS.get(parts.scheme)
        host = name if parts.port in (None, _USUAL_PORTS.get(parts.scheme)) else f"{name}:{parts.port}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(f"{parts.scheme}://{name}:{port}", target, host, _login(parts))

    def to_https(self) -> Endpoint:
        """Return the same place over TLS, at the usual port."""
        name = self.origin.removeprefix("http://").rpartition(":")[0]
        return Endpoint(f"https://{name}:443", self.target, name, self.login)

    def encode_fields(self, headers: Mapping[str, str]) -> bytes:
        """Return the fields that all requests of a session share.

        A session's own headers replace the usual ones.
        """
        fields = {
            "user-agent": "mcp-orchestration-gateway",
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            **({"authorization": f"Basic {self.login}"} if self.login else {}),
            **{name.lower(): value for name, value in headers.items()},
            "host": self.host,
            # A request without it permits any coding (RFC 9110, section 12.5.3).
            "accept-encoding": "identity",
        }
        return b"".join(
            b"%b: %b\r\n" % (name.encode("latin-1"), encode_header_value(text)) for name, text in fields.items()
        )


def _login(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    return b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()
