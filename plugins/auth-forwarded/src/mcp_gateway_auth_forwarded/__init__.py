"""Auth plugin: forward a header of the caller to one server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import Field

from mcp_gateway.plugin import (
    AuthError,
    AuthStrategy,
    Caller,
    Credentials,
    Options,
    Provider,
    has_control_characters,
    hookimpl,
)

GATEWAY_API = 1


class ForwardOptions(Options):
    """The name of the caller's header that is forwarded."""

    header_name: str = Field(
        "Authorization",
        alias="auth_header_name",
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        description="The caller's header that is passed on",
    )


@dataclass(frozen=True, slots=True)
class ForwardAuth:
    """Strategy that forwards one header of each caller."""

    header_name: str

    async def credentials(self, caller: Caller) -> Credentials:
        """Return the caller's header as credentials.

        The `auth_header` of the call takes precedence over the header of the request. Raises AuthError if there is
        neither, or if the value has control characters.
        """
        value = caller.auth_header if caller.auth_header is not None else self._find_header(caller.headers)
        if not value:
            raise AuthError(
                f"it wants the caller's own {self.header_name} header, and there is none; "
                "send that header to the gateway over HTTP, or pass auth_header to call_remote_tool"
            )
        if has_control_characters(value):
            raise AuthError(
                f"the {self.header_name} header, or auth_header, must not have control characters in it, "
                "such as a line break at its end"
            )
        return Credentials.of({self.header_name: value})

    def _find_header(self, headers: Mapping[str, str]) -> str | None:
        # Transports write names in lower case, nearly all.
        wanted = self.header_name.lower()
        found = headers.get(wanted)
        return found or next((value for name, value in headers.items() if name.lower() == wanted), None)


@asynccontextmanager
async def forward_auth(options: ForwardOptions) -> AsyncIterator[AuthStrategy]:
    """Open the strategy for the configured header."""
    yield ForwardAuth(options.header_name)


@hookimpl
def mcp_gateway_auth_strategies() -> Iterator[Provider[ForwardOptions, AuthStrategy]]:
    """Yield `forward`."""
    yield Provider(name="forward", summary="pass the caller's header on", options=ForwardOptions, build=forward_auth)
