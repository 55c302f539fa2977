"""What every command begins with: the environment, and the plugins that may load."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mcp_gateway.config.servers import ServerFile, read_servers
from mcp_gateway.config.settings import (
    Environment,
    Settings,
    plugin_choice,
    read_environ,
    read_environment,
    read_settings,
    stray_variables,
)
from mcp_gateway.loading import Loaded, load_plugins
from mcp_gateway.providers import Providers

_OPTIONS = {
    "config": "SERVER_CONFIG_PATH",
    "transport": "GATEWAY_TRANSPORT",
    "host": "GATEWAY_HOST",
    "port": "GATEWAY_PORT",
}


@dataclass(frozen=True)
class Reading:
    """The configuration, read step by step as a command asks for it. Every step may raise `ConfigError`."""

    environ: Mapping[str, str]

    @classmethod
    def of(cls, arguments: Namespace) -> Reading:
        """Read the environment; command-line options win over it."""
        given = {name: getattr(arguments, option, None) for option, name in _OPTIONS.items()}
        return cls({**read_environ(), **{name: str(value) for name, value in given.items() if value is not None}})

    @cached_property
    def environment(self) -> Environment:
        """What the core reads of the environment."""
        return read_environment(self.environ)

    @cached_property
    def loaded(self) -> Loaded:
        """The plugins."""
        return load_plugins(plugin_choice(self.environ))

    @cached_property
    def providers(self) -> Providers:
        """What the plugins offer."""
        return Providers.of(self.loaded)

    @cached_property
    def settings(self) -> Settings:
        """How the gateway runs."""
        return read_settings(self.environ, self.providers)

    @cached_property
    def servers(self) -> ServerFile:
        """The servers behind the gateway."""
        return self.reread()

    def reread(self) -> ServerFile:
        """Read the file of servers as it is now; the environment stays as it was."""
        return read_servers(self.environment, self.environ, self.providers)

    @property
    def warnings(self) -> list[str]:
        """What is strange, but no error."""
        return [*self.servers.warnings, *stray_variables(self.environ, self.providers), *self._strange_plugins()]

    def _strange_plugins(self) -> list[str]:
        """Say which plugins are to be chosen or disabled that are not installed."""
        choice, loaded = plugin_choice(self.environ), self.loaded
        installed = {*loaded.origins, *(origin.plugin for origin in (*loaded.left_out, *loaded.broken))}
        return [
            f"environment: no plugin is called {name!r}; installed: {', '.join(sorted(installed)) or 'none'}"
            for name in sorted({*choice.only, *choice.disabled} - installed)
        ]
