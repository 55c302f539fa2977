"""The context of commands: environment, plugins and configuration."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from mcp_gateway.config.forms.variables import InputAnswers
from mcp_gateway.config.server_file import ServerFile, read_servers
from mcp_gateway.config.server_spec import NOT_USED, ServerSpec
from mcp_gateway.config.settings import (
    Environment,
    Settings,
    plugin_choice,
    read_environment,
    read_settings,
    warn_unknown_variables,
)
from mcp_gateway.config.sources import (
    ConfigSource,
    explain_distrust,
    find_source,
    find_user_file,
    open_trust_store,
)
from mcp_gateway.config.syntax.picture import split_lines, split_problems
from mcp_gateway.config.trust import Trust
from mcp_gateway.control.terminal import complain, find_asker, show, show_json
from mcp_gateway.loops.chain import Position, describe_position
from mcp_gateway.plugin import AuthStrategy, Bound, ConfigError, GatewayClient, PluginError
from mcp_gateway.plugin_host.loader import LoadedPlugins, load_plugins
from mcp_gateway.plugin_host.providers import Providers
from mcp_gateway.plugin_host.variable_sources import SERVING_SECONDS
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.text.suggestions import suggest_with


@dataclass(frozen=True)
class ControlContext:
    """The configuration, loaded step by step on demand; implements `CommandContext`.

    Every step may raise `ConfigError`. `overrides` are environment variables that the command line sets.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)
    is_serving: bool = False

    @cached_property
    def source(self) -> ConfigSource:
        """The environment, the `.env` and the place of the server file."""
        return find_source({**os.environ, **self.overrides}, is_serving=self.is_serving)

    @cached_property
    def answers(self) -> InputAnswers:
        """The answers of the person at the terminal."""
        over_stdio = self.is_serving and self.environ.get("GATEWAY_TRANSPORT", "stdio").strip().lower() != "http"
        return InputAnswers(None if over_stdio else find_asker())

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment variables, completed by those of the `.env`."""
        return self.source.environ

    @cached_property
    def environment(self) -> Environment:
        """The environment variables of the core."""
        return read_environment(self.environ)

    @cached_property
    def position(self) -> Position:
        """The position behind other gateways; commands that end have none in front."""
        return Position.of(self.environment.server_config, os.environ if self.is_serving else {})

    @cached_property
    def plugins(self) -> LoadedPlugins:
        """The loaded plugins; an error if a configured one is not installed."""
        choice = plugin_choice(self.environ)
        loaded = load_plugins(choice)
        if unknown := _unknown("GATEWAY_PLUGINS", choice.only, loaded):
            raise PluginError("\n".join(unknown))
        return loaded

    @cached_property
    def providers(self) -> Providers:
        """The providers that the plugins registered."""
        found = Providers.of(self.plugins)
        if not self.is_serving:
            return found
        return replace(found, variable_sources=replace(found.variable_sources, seconds=SERVING_SECONDS))

    @cached_property
    def settings(self) -> Settings:
        """The settings of the gateway, with its plugins chosen."""
        settings = read_settings(self.environ, self.providers)
        transport = self.providers.server_transports[settings.environment.server_transport]
        address = {"GATEWAY_HOST", "GATEWAY_PORT"}
        if idle := (self.overrides.keys() & address) - transport.options.keys():
            reason = f"nothing listens there with the transport {transport.name!r}; add --transport http"
            raise ConfigError("\n".join(f"environment: {name}: {reason}" for name in sorted(idle)))
        return settings

    @cached_property
    def servers(self) -> ServerFile:
        """The configured servers, or none with notices that explain it.

        There are none if the file is unusable and the program continues without it.
        """
        try:
            return self.reload_servers()
        except ConfigError as error:
            if not self.source.is_tolerant:
                raise
            # Without pictures of places in the file: they are for a terminal.
            notices = [split_lines(problem)[0] for problem in split_problems(str(error))]
            return ServerFile(notices=(*notices, *self.source.notices))
        finally:
            self.answers.ask = None  # later, while it serves, nobody is asked

    def reload_servers(self) -> ServerFile:
        """Read the server file anew, with the environment unchanged."""
        if reason := describe_position(self.position):
            return ServerFile(notices=(reason, *self.source.notices))
        check = self._check_trust if self.source.is_checked else None
        missing = None if self.is_serving else self.servers_path
        file = read_servers(self.environment, self.environ, self.providers, check, self.answers, missing=missing)
        return replace(file, notices=self.source.notices)

    @property
    def servers_path(self) -> Path:
        """The file of servers; where there is none, that to be written."""
        path = self.environment.server_config
        is_missing = self.source.is_of_folder and not os.path.lexists(path)
        return (find_user_file() if is_missing else None) or path

    def _check_trust(self, content: bytes) -> None:
        file = self.source.servers_file
        if not open_trust_store().is_trusted(file, content):
            raise ConfigError(explain_distrust(file, Trust.CHANGED))

    @property
    def server_names(self) -> tuple[str, ...]:
        """The names of the servers that are configured and switched on."""
        return tuple(spec.name for spec in self.servers.specs)

    def find_spec(self, server: str) -> ServerSpec:
        """Return the server called `server`.

        Raises:
            ConfigError: there is none.

        """
        specs = {spec.name: spec for spec in self.servers.specs}
        if server not in specs:
            self._refuse_disabled(server)
            there = f"servers: {', '.join(specs) or 'none'}"
            raise ConfigError(f"there is no server {server!r}{suggest_with(server, sorted(specs), there)}")
        return specs[server]

    def _refuse_disabled(self, server: str) -> None:
        for each in self.servers.disabled:
            if each.name == server:
                if each.on_purpose:
                    advice = f"to switch it on: {NAME} enable {server}"
                    raise ConfigError(f"server {server!r} is disabled: {each.reason}; {advice}")
                raise ConfigError(f"server {server!r} is {NOT_USED}: {each.reason}")

    def find_auth(self, server: str) -> Bound[AuthStrategy] | None:
        """Return the auth strategy of a server, or None."""
        return self.find_spec(server).auth

    def open_client(self) -> AbstractAsyncContextManager[GatewayClient]:
        """Start a gateway in this process, and open a client of it."""
        from mcp_gateway.control.local_client import open_local_client

        return open_local_client(self)

    def configure_quiet_logging(self) -> None:
        """Log errors only, unless the configuration says otherwise."""
        from mcp_gateway.runtime.logging import configure_logging

        environment = self.environment
        if "log_level" not in environment.model_fields_set:
            environment = environment.model_copy(update={"log_level": "error"})
        configure_logging(environment)

    show = staticmethod(show)
    show_json = staticmethod(show_json)
    complain = staticmethod(complain)

    @property
    def warnings(self) -> list[str]:
        """Warnings about the configuration."""
        file = self.servers
        return [
            *file.notices,
            *file.warnings,
            *warn_unknown_variables(self.environ, self.providers),
            *self._strange_plugins(),
        ]

    def _strange_plugins(self) -> list[str]:
        """Return warnings of disabled plugins that are not installed."""
        return _unknown("GATEWAY_DISABLED_PLUGINS", plugin_choice(self.environ).disabled, self.plugins)


def _unknown(variable: str, names: Collection[str], loaded: LoadedPlugins) -> list[str]:
    """Return a message for each named plugin that is not installed."""
    installed = {*loaded.origins, *(origin.plugin for origin in (*loaded.left_out, *loaded.faulty_origins))}
    there = f"installed: {', '.join(sorted(installed)) or 'none'}"
    return [
        f"environment: {variable}: no plugin is called {name!r}{suggest_with(name, sorted(installed), there)}"
        for name in sorted({*names} - installed)
    ]
