"""Options of `oauth`, from a server's entry and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, HttpUrl, SecretStr, model_validator

from mcp_gateway.plugin import Options, resolve_entry_path

EntryPath = Annotated[Path, AfterValidator(resolve_entry_path)]
"""A path in a server's entry, relative to the folder of the entry's file."""


def _split_scopes(value: Any) -> Any:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


class OAuthOptions(Options):
    """OAuth options: the client, the grant, and the token store.

    They include the folder of the tokens and the key that encrypts them.
    """

    model_config = ConfigDict(url_preserve_empty_path=True)

    server: str = Field("", alias="name", description="The server's name: the first part of server__tool")
    url: HttpUrl = Field(repr=False, description="The URL of the server's MCP endpoint")
    grant: Literal["authorization_code", "client_credentials"] = Field(
        "authorization_code", description="oauth: a person logs in, or the gateway has client credentials of its own"
    )
    client_id: str | None = Field(
        None,
        description="oauth: the client's id, or its metadata document's URL; without one the gateway registers itself",
    )
    client_secret: SecretStr | None = Field(None, description="oauth: the client's secret")
    issuer: HttpUrl | None = Field(
        None, description="oauth: the only authorization server that client_id is for, or that the server may lead to"
    )
    scopes: Annotated[tuple[str, ...], BeforeValidator(_split_scopes)] = Field(
        (), description="oauth: the scopes to ask for, instead of those that the server names"
    )
    callback_port: int = Field(
        0, ge=0, le=65535, description="oauth: the port of this machine where logins come back; 0: a free one"
    )
    ca: EntryPath | None = Field(
        None, description="The PEM file of the authority that the server's certificate is from, if it is a private one"
    )
    cert: EntryPath | None = Field(None, description="The PEM file of the gateway's own certificate for this server")
    cert_key: EntryPath | None = Field(
        None, alias="key", description="The PEM file of that certificate's key, if it is another file"
    )
    key_password: SecretStr | None = Field(None, description="What opens that key, if it is encrypted")
    key: SecretStr | None = Field(
        None,
        alias="GATEWAY_OAUTH_KEY",
        description="The key (Fernet) that logins are encrypted with; without one, a key is made",
    )
    folder: Path | None = Field(
        None,
        alias="GATEWAY_OAUTH_FOLDER",
        description="Where logins to servers are kept, encrypted; the user's state folder, if none is named",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.grant == "client_credentials" and (self.client_id is None or self.client_secret is None):
            raise ValueError("client_credentials needs client_id and client_secret")
        if self.client_secret is not None and (self.client_id is None or self.issuer is None):
            raise ValueError("with client_secret, say whose it is: client_id, and the URL of its issuer")
        return self
