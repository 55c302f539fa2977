"""Settings of the gateway, from environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from mcp_gateway.config.time_limits import MAX_SECONDS, Seconds, TimeSettings
from mcp_gateway.config.validation_errors import format_validation_error
from mcp_gateway.plugin import (
    CHAIN_VARIABLE,
    Bound,
    ConfigError,
    MessageLimits,
    PluginError,
    Ranker,
    ServerTransport,
    SessionOptions,
    ShutdownOptions,
    StorageBackend,
)
from mcp_gateway.plugin_host.loader import Choice
from mcp_gateway.plugin_host.providers import EVERYTHING, ProviderRegistry, Providers
from mcp_gateway.protocol.tool_names import MAX_NAME, MIN_MAX_NAME
from mcp_gateway.text.suggestions import suggest_variable

AuthMode = Literal["auto", "static", "forward"]
PinningMode = Literal["warn", "block", "off"]
LogFormat = Literal["auto", "console", "json"]

_in_lower_case = BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value)
Lower = Annotated[str, _in_lower_case]
ConnectionMode = Annotated[Literal["stateless", "stateful"], _in_lower_case]
# A shorter interval would read the file continuously.
_MIN_RELOAD = 0.01
_HOUR = 3600.0


def _not_always(seconds: float) -> float:
    if 0 < seconds < _MIN_RELOAD:
        raise ValueError(f"it should be at least {_MIN_RELOAD:g}, or 0")
    return seconds


class Environment(MessageLimits, SessionOptions, ShutdownOptions, TimeSettings):
    """The environment variables that the core reads.

    Those of the base classes are also read by plugins. Variables that are not here belong to plugins.
    """

    server_config: Path = Field(
        Path("server_config.json"),
        alias="SERVER_CONFIG_PATH",
        description="The file of servers; without it, over stdio, another one",
    )
    env_file: Path | None = Field(
        None,
        alias="GATEWAY_ENV_FILE",
        description="The file that further variables are read from, in place of a `.env`",
    )
    config_reload: Annotated[float, AfterValidator(_not_always)] = Field(
        1.0,
        ge=0,
        le=MAX_SECONDS,
        allow_inf_nan=False,
        alias="GATEWAY_CONFIG_RELOAD",
        description="Seconds between two looks at whether the file of servers has changed; `0`: it is not followed",
    )
    server_transport: Lower = Field(
        "stdio", alias="GATEWAY_TRANSPORT", description="How clients reach the gateway: `stdio`, `http` or a plugin's"
    )
    shared: bool = Field(
        default=False,
        alias="GATEWAY_SHARED",
        description="Over stdio, one gateway in the background serves all windows that have the same settings",
    )
    storage: Lower = Field(
        "memory", alias="STORAGE_BACKEND", description="Where definitions are kept: `memory`, `redis` or a plugin's"
    )
    ranker: Lower = Field(
        "bm25", alias="GATEWAY_RANKER", description="How `tool_search` ranks: `bm25`, `regex`, `hybrid` or a plugin's"
    )
    max_results: int = Field(
        10, ge=1, le=1000, alias="GATEWAY_MAX_RESULTS", description="How many tools one search returns at the most"
    )
    auth_mode: Annotated[AuthMode, _in_lower_case] = Field(
        "auto",
        alias="GATEWAY_AUTH_MODE",
        description=(
            "`auto`: each server's own `auth_type`; `static`: saved headers only, nothing is forwarded; "
            "`forward`: HTTP servers without saved headers get the caller's `Authorization`"
        ),
    )
    tool_ttl: Seconds = Field(
        300.0, alias="MCP_GATEWAY_TOOL_CACHE_TTL", description="Seconds until a server is asked for its tools again"
    )
    connection_mode: ConnectionMode = Field(
        "stateless", alias="MCP_GATEWAY_DEFAULT_CONNECTION_MODE", description="For servers without a `connection_mode`"
    )
    max_retries: int = Field(
        3,
        ge=0,
        le=100,
        alias="MCP_GATEWAY_MAX_RETRIES",
        description=(
            "Further tries to connect, and to send what did not reach the server; `0`: nothing is sent again "
            "after a broken connection, either"
        ),
    )
    max_calls: int = Field(
        1000, ge=1, alias="GATEWAY_MAX_CALLS", description="How many requests to servers may be under way in all"
    )
    max_server_calls: int = Field(
        200, ge=1, alias="GATEWAY_MAX_CALLS_PER_SERVER", description="How many may be under way with one server"
    )
    max_queue: int = Field(
        500,
        ge=0,
        alias="GATEWAY_MAX_QUEUE",
        description=(
            "How many may wait for each server when these are reached; more are refused at once (error -31029, "
            "`retryAfter`)"
        ),
    )
    queue_timeout: Seconds = Field(
        10.0, alias="GATEWAY_QUEUE_TIMEOUT", description="Seconds that they wait at the most"
    )
    max_definitions: int = Field(
        10_000,
        ge=1,
        alias="GATEWAY_MAX_DEFINITIONS",
        description=(
            "How many tools one server may list, and as many prompts, resources and templates, 64 MiB of each; "
            "the rest is left out, with a warning"
        ),
    )
    max_name: int = Field(
        MAX_NAME,
        ge=MIN_MAX_NAME,
        le=128,
        alias="GATEWAY_NAME_LENGTH",
        description=(
            "How long the names of tools and prompts may be; a longer one is shortened, with a hash at its end, and "
            "its whole name still works in calls"
        ),
    )
    max_server_sessions: int = Field(
        100,
        ge=1,
        alias="MCP_GATEWAY_MAX_SESSIONS_PER_SERVER",
        description="How many sessions one server may have: processes or connections",
    )
    control_socket: Annotated[Literal["auto", "loopback", "off"], _in_lower_case] = Field(
        "auto",
        alias="GATEWAY_CONTROL_SOCKET",
        description=(
            "The local socket by which `status`, `logs` and `servers` ask a running gateway: `auto`, a Unix socket "
            "where there are such; `loopback`, a port of this machine and a key in a file; `off`"
        ),
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _in_lower_case] = Field(
        "info", alias="GATEWAY_LOG_LEVEL", description="The least level that is logged, to standard error"
    )
    log_format: Annotated[LogFormat, _in_lower_case] = Field(
        "auto", alias="GATEWAY_LOG_FORMAT", description="`json`, `console`, or `auto`: console on a terminal"
    )
    plugins: str = Field("", alias="GATEWAY_PLUGINS", description="Load only these plugins (comma-separated)")
    pinning: Annotated[PinningMode, _in_lower_case] = Field(
        "warn",
        alias="GATEWAY_PINNING",
        description=(
            "When a tool's definition has changed since it was first seen: `warn` logs what changed, `block` "
            "withholds the tool until `approve`, `off`"
        ),
    )
    state: Path | None = Field(
        None,
        alias="GATEWAY_STATE_DIR",
        description=(
            "Where first definitions (pins) are kept if the storage is not shared, and how servers were last reached; "
            "the user's state folder, if none is named"
        ),
    )
    disabled_plugins: str = Field(
        "", alias="GATEWAY_DISABLED_PLUGINS", description="Never load these plugins (comma-separated)"
    )


_WAITS = ("timeout", "start_timeout", "list_timeout", "call_timeout", "queue_timeout")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the gateway, with chosen plugins and validated options."""

    environment: Environment
    server_transport: Bound[ServerTransport]
    storage: Bound[StorageBackend]
    rankers: Mapping[str, Bound[Ranker]]

    @property
    def cautions(self) -> list[str]:
        """The plugins' warnings of unwise options."""
        bound: tuple[Bound[Any], ...] = (self.server_transport, self.storage, *self.rankers.values())
        return [f"environment: {caution}" for one in bound if one.caution and (caution := one.caution())]


def plugin_choice(environ: Mapping[str, str]) -> Choice:
    """Return which plugins may load.

    Raises:
        ConfigError: a variable is invalid; the message names it.

    """
    environment = read_environment(environ)
    only = _split_names(environment.plugins)
    if environment.plugins and not only:
        raise ConfigError("environment: GATEWAY_PLUGINS: it names no plugin; unset it to load all")
    return Choice(only, disabled=_split_names(environment.disabled_plugins))


def read_environment(environ: Mapping[str, str]) -> Environment:
    """Return the core's environment variables, validated.

    Raises:
        ConfigError: a variable is invalid; the message names it.

    """
    try:
        return Environment.model_validate(environ)
    except ValidationError as error:
        raise ConfigError(f"environment: {format_validation_error(error)}") from None


def read_settings(environ: Mapping[str, str], providers: Providers) -> Settings:
    """Return the settings, with plugins chosen by environment variables.

    Raises:
        ConfigError: a variable is invalid, or names a plugin that is not installed.

    """
    environment = read_environment(environ)
    chosen: tuple[tuple[str, ProviderRegistry[Any], str], ...] = (
        ("GATEWAY_TRANSPORT", providers.server_transports, environment.server_transport),
        ("STORAGE_BACKEND", providers.storage_backends, environment.storage),
        ("GATEWAY_RANKER", providers.rankers, environment.ranker),
    )
    missing = [f"{key}: {shelf.describe_missing(name)}" for key, shelf, name in chosen if name not in shelf.providers]
    if missing:
        if not any(shelf.providers or shelf.left_out for shelf in providers.shelves):
            missing.append(f"no plugins are installed at all; for the default ones: {EVERYTHING}")
        raise PluginError("\n".join(f"environment: {line}" for line in missing))
    try:
        return Settings(
            environment,
            providers.server_transports[environment.server_transport].bind(environ),
            providers.storage_backends[environment.storage].bind(environ),
            {name: provider.bind(environ) for name, provider in providers.rankers.providers.items()},
        )
    except ValidationError as error:
        raise ConfigError(f"environment: {format_validation_error(error)}") from None


def warn_unknown_variables(environ: Mapping[str, str], providers: Providers) -> list[str]:
    """Return warnings of unknown variables and of very long timeouts.

    A variable is unknown if it has the gateway's prefix and neither the core nor a plugin reads it.
    """
    known = {*Environment.keys(), CHAIN_VARIABLE}  # a gateway in front of this one has set that
    for shelf in (providers.server_transports, providers.storage_backends, providers.rankers):
        for provider in shelf.providers.values():
            known |= provider.options.keys()
    entries: tuple[ProviderRegistry[Any], ...] = (providers.client_transports, providers.auth_strategies)
    for shelf in entries:
        for provider in shelf.providers.values():
            known |= provider.options.variables()
    environment = read_environment(environ)
    long = {str(Environment.model_fields[field].alias): getattr(environment, field) for field in _WAITS}
    return [
        f"environment: {warning}" for name, seconds in long.items() for warning in warn_long_timeout(name, seconds)
    ] + [
        f"environment: nobody reads {name}{suggest_variable(name, known)}"
        for name in sorted(environ)
        if name.startswith(("GATEWAY_", "MCP_GATEWAY_")) and name not in known
    ]


def warn_long_timeout(key: str, seconds: float | None) -> list[str]:
    """Return a warning if a timeout looks like milliseconds."""
    if seconds is None or seconds <= _HOUR:
        return []
    return [f"{key}: {seconds:g} seconds are {seconds / _HOUR:.1f} hours; is it meant in milliseconds?"]


def _split_names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())
