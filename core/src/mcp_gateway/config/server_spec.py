"""Resolved configuration of one server."""

from __future__ import annotations

from dataclasses import dataclass, field

from mcp_gateway.config.time_limits import TimeLimits
from mcp_gateway.config.tool_policy import ToolPolicy
from mcp_gateway.plugin import AuthStrategy, Bound, ClientTransport
from mcp_gateway.plugin_host.providers import Fallback


@dataclass(frozen=True, slots=True, eq=False)
class ServerSpec:
    """A server with its chosen plugins and their validated options.

    * `exposed`: the primitives that are listed to clients: tools, prompts, resources, templates.
    * `fallback`: the transport for a server that does not speak `client_transport`.
    * `auth`: the auth strategy; None if the server needs no credentials.
    * `auth_optional`: whether requests of callers without credentials are sent without any.
    * `fingerprint`: hash of the endpoint.
    * `saved`: slow hash of the credentials in the entry.
    * `digest`: hash of the whole entry.
    * `tool_policy`: which of its tools may be used.
    * `max_name`: how long full names may be, if that is configured.
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
    time_limits: TimeLimits
    max_retries: int
    fingerprint: str
    saved: str = ""
    digest: str = ""
    tool_policy: ToolPolicy = field(default_factory=ToolPolicy)
    max_calls: int = 200
    max_definitions: int = 10_000
    fallback: Fallback[ClientTransport] | None = None
    max_name: int | None = None


SWITCHED_OFF = '"enabled" is false'
"""The reason of a server that was disabled on purpose."""

NOT_USED = "not used"
"""What is said of a server whose entry cannot be used, other than of one that is switched off."""


@dataclass(frozen=True, slots=True)
class DisabledServer:
    """A server that is not used, with the reason.

    Its entry is invalid, or it is disabled `on_purpose`. `namespace` is that of the entry, if readable: its names stay
    reserved, so that no other server can take them over. `is_gateway` means that it leads to this gateway itself,
    `lacks_value` that a variable has no value here and now.
    """

    name: str
    reason: str
    on_purpose: bool = False
    namespace: str | None = None
    is_gateway: bool = False
    lacks_value: bool = False
