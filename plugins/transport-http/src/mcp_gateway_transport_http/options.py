"""Options of the HTTP server transport, from the environment."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, ConfigDict, Field, HttpUrl, SecretStr, model_validator

from mcp_gateway.plugin import ServeOptions, SessionOptions

_MIN_TOKEN, _SAFE_TOKEN = 8, 16
_NAME = re.compile(r"[\w.-]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#]+")

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1", "[::1]")
"""The names of this machine in URLs."""

PATH = "/mcp"
"""The path of the MCP endpoint."""


def _split_list(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _check_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if len(text) < _MIN_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"use at least {_MIN_TOKEN} printable ASCII characters, without spaces")
    return token


def _check_host(host: str) -> str:
    host = host.strip()
    if not host or re.search(r"[\s/]", host) or (host.count(":") == 1):
        raise ValueError("it must be an address alone, such as 127.0.0.1; the port goes into GATEWAY_PORT")
    return host.strip("[]")


def _check_host_names(hosts: tuple[str, ...]) -> tuple[str, ...]:
    bare = tuple(host.strip("[]") for host in hosts)
    if not all(_NAME.fullmatch(host) or (host.count(":") > 1 and "/" not in host) for host in bare):
        raise ValueError("write names alone, such as gateway.example: no http://, no port, no *")
    return bare


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    if not all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("write origins as browsers send them, such as https://app.example: no path, no / at the end")
    return origins


Listed = Annotated[tuple[str, ...], BeforeValidator(_split_list)]
Names = Annotated[Listed, AfterValidator(_check_host_names)]
Origins = Annotated[Listed, AfterValidator(_check_origins)]


class ListenOptions(ServeOptions, SessionOptions):
    """Listen address, authentication and limits of the server.

    Issuers are compared as text, so URLs are not normalized.
    """

    model_config = ConfigDict(url_preserve_empty_path=True)

    host: Annotated[str, AfterValidator(_check_host)] = Field(
        "127.0.0.1",
        alias="GATEWAY_HOST",
        description="The address to listen at: by default of this machine alone; `0.0.0.0`: of every interface",
    )
    port: int = Field(8080, ge=0, le=65535, alias="GATEWAY_PORT", description="The port to listen at; `0`: a free one")
    token: Annotated[SecretStr, AfterValidator(_check_token)] | None = Field(
        None,
        alias="GATEWAY_AUTH_TOKEN",
        description="The token that every HTTP client must send, 8 characters at least; fewer than 16 are a warning",
    )
    issuer: AnyHttpUrl | None = Field(
        None,
        alias="GATEWAY_AUTH_ISSUER",
        description="The authorization server (OAuth) whose tokens open the gateway, too",
    )
    audiences: Listed = Field(
        (), alias="GATEWAY_AUTH_AUDIENCE", description="For whom those tokens must be: the URL of this gateway's `/mcp`"
    )
    jwks: HttpUrl | None = Field(
        None, alias="GATEWAY_AUTH_JWKS", description="Where the issuer's keys are, if its metadata does not say so"
    )
    scopes: Listed = Field((), alias="GATEWAY_AUTH_SCOPES", description="Scopes that those tokens must have")
    public_url: HttpUrl | None = Field(
        None, alias="GATEWAY_PUBLIC_URL", description="The URL of this gateway's `/mcp`, if the audience is no URL"
    )
    cors_origins: Origins = Field(
        (),
        alias="GATEWAY_CORS_ORIGINS",
        description=(
            "Origins of web pages that may use it, beside those on localhost (comma-separated); `*` (all) only "
            "with a token"
        ),
    )
    allowed_hosts: Names = Field(
        (),
        alias="GATEWAY_ALLOWED_HOSTS",
        description="Names by which the gateway may be called, beside localhost (comma-separated)",
    )
    max_header_bytes: int = Field(
        64 << 10,
        ge=9000,
        le=1 << 20,
        alias="GATEWAY_MAX_HEADER_BYTES",
        description=(
            "HTTP: the longest head of a request; longer ones, more than 128 headers (431) and URLs over 8 KiB "
            "(414) are refused"
        ),
    )
    header_timeout: float = Field(
        10.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        alias="GATEWAY_HEADER_TIMEOUT",
        description="HTTP: seconds in which the head of a request must come",
    )
    body_timeout: float = Field(
        30.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        alias="GATEWAY_BODY_TIMEOUT",
        description="HTTP: seconds that a body may pause; on average, 1 KiB a second must come",
    )
    keep_alive_timeout: float = Field(
        5.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        alias="GATEWAY_KEEP_ALIVE_TIMEOUT",
        description="HTTP: seconds that a connection stays open without a request",
    )
    max_connections: int = Field(
        10_000,
        ge=1,
        alias="GATEWAY_MAX_CONNECTIONS",
        description=(
            "HTTP: how many connections clients may have open in all, as far as the limit of open files allows; a"
            " new one takes the place of the oldest that has not shown who it is"
        ),
    )
    max_address_connections: int = Field(
        1000,
        ge=1,
        alias="GATEWAY_MAX_CONNECTIONS_PER_ADDRESS",
        description=(
            "HTTP: how many of those that have not shown who they are one address (of IPv6, one /64) may have open"
        ),
    )
    max_requests: int = Field(
        5000,
        ge=1,
        alias="GATEWAY_MAX_REQUESTS",
        description="HTTP: how many requests and streams clients may have open; more get 503 and Retry-After",
    )
    max_sessions: int = Field(
        2000,
        ge=1,
        alias="GATEWAY_MAX_SESSIONS",
        description="HTTP: how many sessions clients may have open in all; more get 503",
    )
    max_caller_sessions: int = Field(
        500,
        ge=1,
        alias="GATEWAY_MAX_SESSIONS_PER_CALLER",
        description=(
            "HTTP: how many one person (nobody known by name: one address) may have open; for more, the longest idle "
            "one ends, unless all were used within the last minute: 429"
        ),
    )

    @model_validator(mode="after")
    def _check_issuer(self) -> Self:
        """Validate that the issuer and its settings are complete.

        An issuer needs an audience and reachable keys; audience, scopes, JWKS and public URL need an issuer.
        """
        if "*" in self.cors_origins and self.token is None and self.issuer is None:
            raise ValueError(
                "GATEWAY_CORS_ORIGINS=* lets every web page use the gateway: set GATEWAY_AUTH_TOKEN, too, "
                "or name the origins that may"
            )
        if self.issuer is None:
            of_issuers: dict[str, object] = {
                "GATEWAY_AUTH_AUDIENCE": self.audiences,
                "GATEWAY_AUTH_SCOPES": self.scopes,
                "GATEWAY_AUTH_JWKS": self.jwks,
                "GATEWAY_PUBLIC_URL": self.public_url,
            }
            if idle := [name for name, value in of_issuers.items() if value]:
                raise ValueError(f"{' and '.join(idle)} lets nobody in without GATEWAY_AUTH_ISSUER; set that, too")
            return self
        if not self.audiences:
            raise ValueError("with GATEWAY_AUTH_ISSUER, set GATEWAY_AUTH_AUDIENCE: tokens for others open nothing here")
        if self.jwks is None and self.issuer.scheme != "https" and self.issuer.host not in LOCAL_NAMES:
            raise ValueError("GATEWAY_AUTH_ISSUER must be https; or set GATEWAY_AUTH_JWKS to where its keys are")
        if self.resource is None:
            raise ValueError("GATEWAY_AUTH_AUDIENCE is no URL: set GATEWAY_PUBLIC_URL to that of this gateway's /mcp")
        return self

    @property
    def caution(self) -> str | None:
        """Return a warning of unwise options, or None."""
        if self.token is None or len(self.token.get_secret_value()) >= _SAFE_TOKEN:
            return None
        return (
            f"GATEWAY_AUTH_TOKEN has fewer than {_SAFE_TOKEN} characters and may be guessed; "
            "use a random one, as 'openssl rand -hex 32' makes it"
        )

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The known URLs at which clients reach the gateway."""
        host = "127.0.0.1" if self.host.lower() == "localhost" else self.host
        listening = f"http://{f'[{host}]' if ':' in host else host}:{self.port}{PATH}"
        return (*([listening] if self.port else []), *([self.resource] if self.resource else []))

    @property
    def resource(self) -> str | None:
        """The gateway's resource identifier (RFC 9728).

        It is GATEWAY_PUBLIC_URL, or the first audience that is a URL.
        """
        if self.public_url is not None:
            return str(self.public_url)
        return next((name for name in self.audiences if name.startswith(("http://", "https://"))), None)
