"""Resolved configuration of one server."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_gateway.plugin import AuthStrategy, Bound, ClientTransport


@dataclass(frozen=True, slots=True, eq=False)
class ServerSpec:
    """A server, with its plugins chosen and their options settled.

    `exposed` names the kinds that clients see natively: tools, prompts, resources, templates.
    `auth` is None where no credentials are wanted; with `auth_optional` a caller who
    brought none goes without. `fingerprint` changes with where the entry leads, and `saved` with
    the credentials that are saved in it, of which it tells nothing; `digest` with anything in it.
    """

    name: str
    namespace: str | None
    description: str
    client_transport: Bound[ClientTransport]
    auth: Bound[AuthStrategy] | None
    auth_optional: bool
    overridable: bool
    stateful: bool
    auto_discover: bool
    exposed: frozenset[str]
    timeout: float
    max_call_time: float
    max_retries: int
    fingerprint: str
    saved: str = ""
    digest: str = ""
    max_calls: int = 200
    max_definitions: int = 10_000


SWITCHED_OFF = '"enabled" is false'
"""Why a server is disabled that somebody has switched off."""


@dataclass(frozen=True, slots=True)
class DisabledServer:
    """A server that is not used, with the reason.

    Either its entry cannot be used, or it is disabled `on_purpose`.

    `namespace` is that of its entry, as far as it can be read; other servers must not have its names.
    """

    name: str
    reason: str
    on_purpose: bool = False
    namespace: str | None = None
