"""What the HTTP transport reads: a server's entry towards servers, the environment towards clients."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretStr

from mcp_gateway.plugin import Options

_MIN_TOKEN = 8


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _is_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if len(text) < _MIN_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"use at least {_MIN_TOKEN} printable ASCII characters, without spaces")
    return token


Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class HttpOptions(Options):
    """Where a server is. The URL may hold a secret, so it is never printed."""

    url: HttpUrl = Field(repr=False, description="The URL of the server's MCP endpoint")


class ListenOptions(Options):
    """Where to listen, and whom to let in."""

    host: str = Field("0.0.0.0", alias="GATEWAY_HOST", description="The address to listen at")  # noqa: S104  # the gate keeps others out
    port: int = Field(8080, ge=0, le=65535, alias="GATEWAY_PORT", description="The port to listen at; 0: a free one")
    token: Annotated[SecretStr, AfterValidator(_is_token)] | None = Field(
        None, alias="GATEWAY_AUTH_TOKEN", description="The token that every client must send"
    )
    cors_origins: Listed = Field(
        (), alias="GATEWAY_CORS_ORIGINS", description="Origins of web pages that may use the gateway"
    )
    allowed_hosts: Listed = Field(
        (), alias="GATEWAY_ALLOWED_HOSTS", description="Names by which the gateway may be called, beside localhost"
    )
    max_request_bytes: int = Field(
        4 << 20, gt=0, alias="GATEWAY_MAX_REQUEST_BYTES", description="The longest request that is read"
    )
    grace: float = Field(
        3.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        alias="GATEWAY_SHUTDOWN_GRACE",
        description="Seconds that calls under way have at the end",
    )
