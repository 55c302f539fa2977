"""The file of servers (`server_config.json`), resolved with plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from mcp_gateway.config.fingerprints import credentials_hash, digest_of, fingerprint_of
from mcp_gateway.config.forms.entries import RawEntry
from mcp_gateway.config.forms.entry_file import CheckFn, EntryFile, read_entry_file
from mcp_gateway.config.forms.paths import settle_surroundings
from mcp_gateway.config.forms.values import UnclearValue, settle_switch
from mcp_gateway.config.forms.variables import InputAnswers, NoValue, Unset, Variables
from mcp_gateway.config.namespaces import check_namespace, read_namespace
from mcp_gateway.config.server_spec import NOT_USED, SWITCHED_OFF, DisabledServer, ServerSpec
from mcp_gateway.config.settings import ConnectionMode, Environment, warn_long_timeout
from mcp_gateway.config.sources import name_denied_file
from mcp_gateway.config.time_limits import TimeKeys, settle_time_limits
from mcp_gateway.config.tool_policy import ToolFilter
from mcp_gateway.config.validation_errors import format_validation_error
from mcp_gateway.loops.own_entries import OwnEntries
from mcp_gateway.plugin import AuthStrategy, ConfigError, Options, Provider
from mcp_gateway.plugin_host.providers import ProviderRegistry, Providers
from mcp_gateway.plugin_host.variable_sources import VariableReader
from mcp_gateway.protocol.tool_names import is_server_name
from mcp_gateway.text.suggestions import suggest_word


class ServerEntry(TimeKeys):
    """The keys of a server entry that the core reads.

    All others belong to the entry's plugins.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    name: str = Field(description="The server's name: the first part of server__tool")
    namespace: str | None = Field(
        "", description="What begins the names of its tools and prompts, instead of the server's name; null: nothing"
    )
    transport: str = Field("http", description="How the gateway reaches the server")
    auth_type: str = Field("none", description="Which credentials go to the server: none, or an auth plugin's name")
    description: str = Field("", description="What the server is for, in one line; the model reads it")
    connection_mode: ConnectionMode | None = Field(
        None, description="stateless: clients share a session; stateful: each client has its own"
    )
    auto_discover: bool = Field(default=True, description="Ask for the tools at start-up")
    enabled: bool = Field(default=True, description="false: leave the server out")
    expose_tools: bool = Field(default=False, description="List the tools natively, as server__tool")
    expose_prompts: bool = Field(default=True, description="List the prompts, as server__prompt")
    expose_resources: bool = Field(default=True, description="List the resources and their templates")
    max_retries: int | None = Field(None, ge=0, le=100, description="Further tries to connect to this server")
    tools: ToolFilter | None = Field(None, description="Which of its tools may be used: globs in include and exclude")
    max_calls: int | None = Field(None, ge=1, description="How many requests to this server may be under way")

    @field_validator("name", "namespace")
    @classmethod
    def _unambiguous(cls, name: str | None) -> str | None:
        if name is not None and not is_server_name(name):
            raise ValueError("use letters, digits, '.', '-' and single '_', starting with a letter or digit")
        return name


@dataclass(frozen=True, slots=True)
class ServerFile:
    """The content of the file of servers, with notices for clients.

    `notices` explain why there are fewer servers than clients may expect. `reader` has read the variables of sources.
    """

    specs: tuple[ServerSpec, ...] = ()
    disabled: tuple[DisabledServer, ...] = ()
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    reader: VariableReader | None = None


_TO_WRITE_IT = "so there are no servers; to write it: mcp-orchestration-gateway init; or name one in SERVER_CONFIG_PATH"


def read_servers(
    environment: Environment,
    environ: Mapping[str, str],
    providers: Providers,
    check: CheckFn | None = None,
    answers: InputAnswers | None = None,
    *,
    missing: Path | None = None,
) -> ServerFile:
    """Read the server file and resolve every enabled entry.

    If the default file does not exist, that is only a warning, which names `missing` as the one to write. `check` may
    reject the content. An entry that cannot be used disables its server only. `answers` are a person's to inputs.

    Raises:
        ConfigError: the file cannot be read, or has no servers in any form.

    """
    path = environment.server_config
    with name_denied_file():
        is_there = "server_config" in environment.model_fields_set or path.exists()
    if not is_there:
        return ServerFile(warnings=(f"{missing or path}: there is no such file, {_TO_WRITE_IT}",))
    file = read_entry_file(path, check)
    reader = VariableReader(providers.variable_sources)
    variables = Variables(environ, file.folder, file.questions, answers or InputAnswers(), reader)
    servers = resolve_entries(file, path, environment, variables, providers)
    return replace(servers, warnings=(*servers.warnings, *reader.list_warnings()), reader=reader)


def resolve_entries(
    file: EntryFile, path: Path, environment: Environment, variables: Variables, providers: Providers
) -> ServerFile:
    """Resolve the entries of a file that has been read."""
    transport = providers.server_transports.providers.get(environment.server_transport)
    own_entries = OwnEntries.of(path, transport, variables.environ)
    reading = _EntryReader(environment, variables, providers, own_entries)
    reading.warnings += file.warnings
    for entry in file.entries:
        reading.add(entry)
    return ServerFile(tuple(reading.specs), tuple(reading.disabled), tuple(reading.warnings))


class _EntryReader:
    """A single pass over the entries that collects servers."""

    def __init__(
        self, environment: Environment, variables: Variables, providers: Providers, own_entries: OwnEntries
    ) -> None:
        self._environment = environment
        self._own_entries = own_entries
        self._variables = variables
        self._providers = providers
        # Names without a namespace stay as they are, unless a limit is set on purpose.
        self._max_name = environment.max_name if "max_name" in environment.model_fields_set else None
        self._seen: set[str] = set()
        self.specs: list[ServerSpec] = []
        self.disabled: list[DisabledServer] = []
        self.warnings: list[str] = []

    def add(self, raw: RawEntry) -> None:
        """Resolve one entry, or disable its server."""
        self.warnings += [f"{raw.where}: {warning}" for warning in raw.warnings]
        try:
            self._settle(raw)
        except ValidationError as error:
            self._disable(raw, format_validation_error(error))
        except (ConfigError, Unset, UnclearValue) as error:
            self._disable(raw, str(error), lacks_value=isinstance(error, NoValue))

    def _disable(self, raw: RawEntry, reason: str, *, lacks_value: bool = False) -> None:
        self.warnings.append(f"{raw.where}: {NOT_USED}: {reason}")
        namespace, name = read_namespace(raw.keys), raw.keys.get("name")
        # Its place, if it has no name.
        named = name if isinstance(name, str) else raw.where.rpartition(": ")[2]
        self.disabled.append(DisabledServer(named, reason, namespace=namespace, lacks_value=lacks_value))

    def _leave_out(self, keys: Mapping[str, object], reason: str = "", *, is_gateway: bool = False) -> None:
        name = keys.get("name")
        if isinstance(name, str) and is_server_name(name):
            switched = reason or SWITCHED_OFF
            self.disabled.append(DisabledServer(name, switched, not is_gateway, read_namespace(keys), is_gateway))

    def _settle(self, raw: RawEntry) -> None:
        if raw.keys.get("enabled") is False:
            self._leave_out(raw.keys, raw.unclear)  # without expanding it: its variables may be unset
            return
        if raw.unclear:
            raise ConfigError(raw.unclear)
        keys: dict[str, Any] = settle_switch(self._variables.expand(dict(raw.keys)))
        if keys.get("enabled") is not False:
            keys = settle_surroundings(keys, self._variables.folder, self._variables.environ)
            if reason := self._own_entries.describe(keys):
                self.warnings.append(f"{raw.where}: left out: {reason}")
                self._leave_out(keys, reason, is_gateway=True)
                return
        entry = ServerEntry.model_validate(keys)
        if not entry.enabled:
            self._leave_out(keys)
            return
        for key in ("timeout", "start_timeout", "list_timeout", "call_timeout"):
            self.warnings += [f"{raw.where}: {warning}" for warning in warn_long_timeout(key, getattr(entry, key))]
        if entry.name in self._seen:
            raise ConfigError("another server has the same name; rename one")
        namespace = entry.namespace if "namespace" in entry.model_fields_set else entry.name
        found = check_namespace(namespace, self.specs, self._max_name)
        self.warnings += [f"{raw.where}: {warning}" for warning in found]
        self._seen.add(entry.name)
        self._bind(raw, entry, keys)

    def _bind(self, raw: RawEntry, entry: ServerEntry, keys: Mapping[str, Any]) -> None:
        shelf = self._providers.client_transports
        transport = shelf[entry.transport]
        auth, optional = self._auth(entry, keys)
        readers: list[Provider[Any, Any]] = [transport, *([auth] if auth else [])]
        self._check_unknown_keys(raw, entry, keys, readers)
        environment = self._environment
        policy = raw.policy.within(entry.tools.policy) if entry.tools else raw.policy
        folder = self._variables.folder
        self.specs.append(
            ServerSpec(
                name=entry.name,
                namespace=entry.namespace if "namespace" in entry.model_fields_set else entry.name,
                description=" ".join(entry.description.split()),
                client_transport=transport.bind(self._source(transport, keys), folder),
                fallback=shelf.bind_fallback(transport, lambda other: self._source(other, keys), folder),
                auth=auth.bind(self._source(auth, keys), folder) if auth else None,
                auth_optional=optional,
                overridable=environment.auth_mode != "static",
                stateful=(entry.connection_mode or environment.connection_mode) == "stateful",
                auto_discover=entry.auto_discover,
                exposed=_primitives_to_expose(entry),
                time_limits=settle_time_limits(entry, environment),
                max_retries=environment.max_retries if entry.max_retries is None else entry.max_retries,
                fingerprint=fingerprint_of(keys),
                saved=credentials_hash(keys),
                digest=digest_of({**keys, "tool policy": policy.digest}),
                tool_policy=policy,
                max_definitions=environment.max_definitions,
                max_name=self._max_name,
                max_calls=entry.max_calls or environment.max_server_calls,
            )
        )

    def _source(self, provider: Provider[Any, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
        """Return the input of a provider's options: entry and environment variables."""
        variables, environ = provider.options.variables(), self._variables.environ
        return {**keys, **{name: environ[name] for name in variables if name in environ}}

    def _auth(self, entry: ServerEntry, keys: Mapping[str, Any]) -> tuple[Provider[Any, AuthStrategy] | None, bool]:
        """Choose the auth plugin; `GATEWAY_AUTH_MODE` may override the entry."""
        strategies, mode = self._providers.auth_strategies, self._environment.auth_mode
        wanted = entry.auth_type.lower()
        if mode == "static" and wanted == "forward":
            wanted = "static" if keys.get("auth_headers") else "none"
        # Stdio servers get no headers, so credentials can be forwarded only to servers with a URL.
        if mode == "forward" and wanted == "none" and "url" in keys:
            return strategies["forward"], True
        return (None if wanted == "none" else strategies[wanted]), False

    def _check_unknown_keys(
        self, raw: RawEntry, entry: ServerEntry, keys: Mapping[str, Any], readers: Iterable[Provider[Any, Any]]
    ) -> None:
        """Reject keys that no plugin reads; in a client's format, warn."""
        known = set(ServerEntry.model_fields).union(*(_keys(reader) for reader in readers))
        for key in keys:
            if key in known or key.startswith("x-"):
                continue
            if raw.foreign and (owners := self._owners(key)):
                self.warnings.append(f"{raw.where}: the key {key!r} is read only with {' or '.join(owners)}")
            elif raw.foreign:
                near = suggest_word(key, known | self._all_keys())
                self.warnings.append(f"{raw.where}: the gateway does not read the key {key!r}{near}")
            elif not (owners := self._owners(key)):
                raise ConfigError(f"nobody reads the key {key!r}{suggest_word(key, known | self._all_keys())}")
            elif not self._is_ignorable(key, entry):
                raise ConfigError(f"the key {key!r} is read only with {' or '.join(owners)}; set that, or remove it")

    def _owners(self, key: str) -> list[str]:
        """Return the settings under which some plugin would read `key`."""
        return [f'"{setting}": "{provider.name}"' for setting, provider in self._list() if key in _keys(provider)]

    def _all_keys(self) -> set[str]:
        """Return every key that some plugin would read."""
        return set().union(*(_keys(provider) for _, provider in self._list()))

    def _list(self) -> Iterator[tuple[str, Provider[Any, Any]]]:
        """Yield the plugins that read keys, with the settings that choose them."""
        shelves: tuple[tuple[str, ProviderRegistry[Any]], ...] = (
            ("transport", self._providers.client_transports),
            ("auth_type", self._providers.auth_strategies),
        )
        for setting, shelf in shelves:
            for _, provider in sorted(shelf.providers.items()):
                yield setting, provider

    def _is_ignorable(self, key: str, entry: ServerEntry) -> bool:
        """Whether an unread `key` is harmless.

        It is if `GATEWAY_AUTH_MODE` overrides the entry's auth strategy, or if its value selects nothing.
        """
        overruled = self._environment.auth_mode != "auto" and entry.auth_type != "none"
        return overruled or key == "auth_header_name"


def _keys(provider: Provider[Any, Any]) -> frozenset[str]:
    """Return the keys of a server entry that a provider reads."""
    options: type[Options] = provider.options
    return options.keys() - options.variables()


def _primitives_to_expose(entry: ServerEntry) -> frozenset[str]:
    tools = {"tools"} if entry.expose_tools else set()
    prompts = {"prompts"} if entry.expose_prompts else set()
    resources = {"resources", "templates"} if entry.expose_resources else set()
    return frozenset(tools | prompts | resources)
