"""Options of client transports that reach a server by its URL."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, ValidationInfo, model_validator

from mcp_gateway.plugin.limits import MessageLimits
from mcp_gateway.plugin.utilities.network import is_link_local
from mcp_gateway.plugin.utilities.tls import TlsFiles

if TYPE_CHECKING:
    import ssl

    from mcp_gateway.plugin.values import Diagnosis

# Names of clouds' metadata services, refused whatever they resolve to.
_METADATA_NAMES = ("metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal")
CreateContextFn = Callable[[], "ssl.SSLContext"]
"""Makes a TLS context of this machine's own authorities."""

_SOCKET_SCHEMES = {"http+unix": "http", "https+unix": "https"}


def resolve_entry_path(path: Path, info: ValidationInfo) -> Path:
    """Resolve a path of an entry from the folder of its file.

    `Provider.bind` says which folder that is; `~` is the user's own.
    """
    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    return Path(folder or "", os.path.expanduser(path))  # noqa: PTH111  # Path's own raises where there is no home


EntryPath = Annotated[Path, AfterValidator(resolve_entry_path)]
"""A path in a server's entry, relative to the folder of the entry's file."""


class UrlOptions(MessageLimits):
    """The URL of a server, and how to reach it.

    The URL may contain a secret, so it is never printed.
    """

    url: HttpUrl = Field(repr=False, description="The URL of the server's MCP endpoint")
    allow_link_local: bool = Field(
        default=False, description="Reach this server even at link-local addresses, where clouds keep credentials"
    )
    ca: EntryPath | None = Field(
        None, description="The PEM file of the authority that the server's certificate is from, if it is a private one"
    )
    cert: EntryPath | None = Field(None, description="The PEM file of the gateway's own certificate for this server")
    key: EntryPath | None = Field(None, description="The PEM file of that certificate's key, if it is another file")
    key_password: SecretStr | None = Field(None, description="What opens that key, if it is encrypted")
    socket: EntryPath | None = Field(
        None, description="The Unix socket at which the server listens; `url` then says only host and path"
    )

    @property
    def tls_files(self) -> TlsFiles | None:
        """The certificate files, if the entry has any."""
        if self.ca is None and self.cert is None and self.key is None:
            return None
        return TlsFiles(
            self.ca, self.cert, self.key, self.key_password.get_secret_value() if self.key_password else None
        )

    @model_validator(mode="before")
    @classmethod
    def _read_socket_url(cls, source: Any) -> Any:
        """Read `http+unix://%2Frun%2Fmcp.sock/mcp`, as other programs write it."""
        url = source.get("url") if isinstance(source, Mapping) else None
        if not isinstance(url, str) or not url.startswith(tuple(f"{scheme}://" for scheme in _SOCKET_SCHEMES)):
            return source
        parts = urlsplit(url)
        if not parts.netloc or "socket" in source:
            raise ValueError("url: write the socket's path once, as http+unix://%2Frun%2Fmcp.sock/mcp, or as socket")
        whole = urlunsplit((_SOCKET_SCHEMES[parts.scheme], "localhost", parts.path, parts.query, ""))
        return {**source, "url": whole, "socket": unquote(parts.netloc)}

    @model_validator(mode="after")
    def _check_link_local(self) -> Self:
        host = (self.url.host or "").strip("[]")
        if not self.allow_link_local and (is_link_local(host) or host.rstrip(".") in _METADATA_NAMES):
            raise ValueError("url: it leads to where clouds keep credentials; if that is meant, set allow_link_local")
        return self

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        """Load the files once, so that faults are said with the entry."""
        if (files := self.tls_files) is None:
            return self
        if self.url.scheme != "https":
            named = " and ".join(name for name in ("ca", "cert", "key") if getattr(self, name) is not None)
            raise ValueError(f'{named}: there are no certificates over http://; "url" must begin with https://')
        import ssl

        files.load(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return self

    @model_validator(mode="after")
    def _check_socket(self) -> Self:
        if self.socket is not None and sys.platform == "win32":
            raise ValueError("socket: there are no Unix sockets on this system")
        return self


async def diagnose_url(options: UrlOptions, create_context: CreateContextFn) -> list[Diagnosis]:
    """Return why a server's URL cannot be reached, if it cannot.

    That may be its name, the connection, a proxy or the certificate. `create_context` makes a TLS context of this
    machine's own authorities.
    """
    # The event loop is not loaded by what only declares plugins.
    from mcp_gateway.plugin.server_url.diagnosis import find_diagnoses

    return await find_diagnoses(options, create_context)
