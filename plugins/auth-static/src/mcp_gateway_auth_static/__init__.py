"""Auth plugin: the same configured headers for every caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

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


def _check_one_line(value: SecretStr) -> SecretStr:
    if has_control_characters(value.get_secret_value()):
        raise ValueError("a header's value must not have control characters in it, such as a line break at its end")
    return value


def _check_unique(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("a header is there twice, in two spellings; case makes no difference in HTTP")
    return headers


HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]


class StaticOptions(Options):
    """Static headers, and the name of the one `auth_header` replaces."""

    headers: Annotated[
        dict[HeaderName, Annotated[SecretStr, AfterValidator(_check_one_line)]], AfterValidator(_check_unique)
    ] = Field(alias="auth_headers", min_length=1, description="Headers to send with every request")
    header_name: HeaderName = Field(
        "Authorization", alias="auth_header_name", description="The header that auth_header of one call replaces"
    )


@dataclass(frozen=True, slots=True)
class StaticAuth:
    """Strategy with configured credentials."""

    saved: Credentials
    header_name: str
    same_for_all: bool = True

    async def credentials(self, caller: Caller) -> Credentials:
        """Return the saved headers, with `auth_header` in place of one.

        Raises AuthError if `auth_header` has control characters.
        """
        if caller.auth_header is None:
            return self.saved
        if has_control_characters(caller.auth_header):
            raise AuthError("auth_header must not have control characters in it, such as a line break at its end")
        name = self.header_name.lower()
        others = {key: value for key, value in self.saved.pairs if key.lower() != name}
        return Credentials.of({**others, self.header_name: caller.auth_header})


@asynccontextmanager
async def static_auth(options: StaticOptions) -> AsyncIterator[AuthStrategy]:
    """Open the strategy with the configured headers."""
    headers = {name: value.get_secret_value() for name, value in options.headers.items()}
    yield StaticAuth(Credentials.of(headers), options.header_name)


@hookimpl
def mcp_gateway_auth_strategies() -> Iterator[Provider[StaticOptions, AuthStrategy]]:
    """Yield `static`."""
    yield Provider(name="static", summary="send saved headers", options=StaticOptions, build=static_auth)
