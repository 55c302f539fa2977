"""Providers by plugin type and name, each name with one owner."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from mcp_gateway.plugin import (
    AuthStrategy,
    Bound,
    ClientTransport,
    PluginError,
    Provider,
    Ranker,
    ServerTransport,
    StorageBackend,
    VariableSource,
)
from mcp_gateway.plugin_host.loader import Fault, LoadedPlugins, Origin
from mcp_gateway.plugin_host.variable_sources import KIND, VariableSources
from mcp_gateway.text.suggestions import find_similar_names, format_suggestion

ProductT = TypeVar("ProductT")
ProductT_co = TypeVar("ProductT_co", covariant=True)

EVERYTHING = "install mcp-orchestration-gateway from where you have the core"
"""How the default plugins are installed; no index is named, where others may publish under this name."""

_NAME = re.compile(r"[\w.-]{1,40}")
"""The pattern of names; other text may be a secret in the wrong place, and is not repeated in errors."""

_RENAMED = {"mcp-gateway-auth-forward": "mcp-gateway-auth-forwarded"}
_OURS = frozenset(
    {
        *(f"mcp-gateway-transport-{name}" for name in ("http", "sse", "stdio")),
        *(f"mcp-gateway-auth-{name}" for name in ("forwarded", "oauth", "static")),
        *(f"mcp-gateway-ranker-{name}" for name in ("bm25", "hybrid", "regex")),
        *(f"mcp-gateway-storage-{name}" for name in ("memory", "redis")),
        "mcp-gateway-variables-keyring",
    }
)
"""The plugins of this project."""


@dataclass(frozen=True, slots=True)
class Fallback(Generic[ProductT_co]):
    """The bound fallback of a provider, or how it is installed."""

    name: str
    bound: Bound[ProductT_co] | None
    hint: str = ""


@dataclass(frozen=True)
class ProviderRegistry(Generic[ProductT]):
    """Providers of one plugin type, by name.

    `distribution` is the name prefix of the distributions of this kind that the project publishes. `left_out` has the
    distributions of all plugins, of any kind, that the configuration excludes.
    """

    kind: str
    distribution: str
    providers: Mapping[str, Provider[Any, ProductT]]
    origins: Mapping[str, Origin]
    faults: tuple[Fault, ...] = ()
    left_out: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> Provider[Any, ProductT]:
        """Return the provider called `name`.

        Raises:
            PluginError: there is none; the message lists the installed ones, the
                faulty ones, and what to install.

        """
        try:
            return self.providers[name]
        except KeyError:
            raise PluginError(self.describe_missing(name)) from None

    def bind_fallback(
        self,
        provider: Provider[Any, ProductT],
        get_source: Callable[[Provider[Any, ProductT]], Mapping[str, object]],
        folder: Path,
    ) -> Fallback[ProductT] | None:
        """Bind the fallback that a provider names; None if it names none."""
        name = provider.fallback
        if not name:
            return None
        if (other := self.providers.get(name)) is None:
            return Fallback(name, None, self.describe_missing(name))
        return Fallback(name, other.bind(get_source(other), folder))

    def describe_missing(self, name: str) -> str:
        """Describe an unknown provider: alternatives and remedy, in one line."""
        installed = ", ".join(sorted(self.providers)) or "none"
        if not _NAME.fullmatch(name):
            return f"that is no name of a {self.kind}; installed: {installed}"
        words = [f"no {self.kind} is called {name!r}; installed: {installed}"]
        if near := find_similar_names(name, self.providers, 1):
            words.append(format_suggestion(near))
        elif (package := _package(self.distribution, name)) in self.left_out:
            words.append(f"GATEWAY_PLUGINS or GATEWAY_DISABLED_PLUGINS leaves out {package}, which brings it")
        else:
            words.append(install_hint(self.distribution, name))
        words += [f"this plugin failed to load: {fault}" for fault in self.faults]
        return "; ".join(words)


def install_hint(distribution: str, name: str) -> str:
    """Suggest how to install a plugin.

    Only packages of this project are named, because a package of another name could be malicious.
    """
    package = _package(distribution, name)
    return (
        f"install {package} from where you have the gateway" if package in _OURS else "install a plugin that brings it"
    )


def _package(distribution: str, name: str) -> str:
    return _RENAMED.get(f"{distribution}-{name}", f"{distribution}-{name}")


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers of all plugins.

    They are collected once at start-up; after that pluggy is not used.
    """

    client_transports: ProviderRegistry[ClientTransport]
    server_transports: ProviderRegistry[ServerTransport]
    auth_strategies: ProviderRegistry[AuthStrategy]
    rankers: ProviderRegistry[Ranker]
    storage_backends: ProviderRegistry[StorageBackend]
    variable_sources: VariableSources = field(default_factory=VariableSources)

    @property
    def shelves(self) -> tuple[ProviderRegistry[Any], ...]:
        """The five provider registries, in display order."""
        return (
            self.server_transports,
            self.client_transports,
            self.auth_strategies,
            self.rankers,
            self.storage_backends,
        )

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults of all plugins, without duplicates."""
        faults = [*(fault for shelf in self.shelves for fault in shelf.faults), *self.variable_sources.faults]
        return tuple({str(fault): fault for fault in faults}.values())

    @classmethod
    def of(cls, loaded: LoadedPlugins) -> Providers:
        """Call every hook once and collect the providers.

        Raises:
            PluginError: two plugins offer the same name.

        """
        hook = loaded.manager.hook
        transport, prefix = "mcp-gateway-transport", "mcp-gateway"
        return cls(
            client_transports=_collect_registry(
                "client transport", transport, hook.mcp_gateway_client_transports, loaded
            ),
            server_transports=_collect_registry(
                "server transport", transport, hook.mcp_gateway_server_transports, loaded
            ),
            auth_strategies=_collect_registry(
                "auth strategy", f"{prefix}-auth", hook.mcp_gateway_auth_strategies, loaded
            ),
            rankers=_collect_registry("ranker", f"{prefix}-ranker", hook.mcp_gateway_rankers, loaded),
            storage_backends=_collect_registry(
                "storage backend", f"{prefix}-storage", hook.mcp_gateway_storage_backends, loaded
            ),
            variable_sources=_collect_sources(f"{prefix}-variables", hook.mcp_gateway_variable_sources, loaded),
        )


def _collect_registry(kind: str, distribution: str, hook: Any, loaded: LoadedPlugins) -> ProviderRegistry[Any]:
    """Collect the providers of one hook, keeping track of their plugins."""
    found = _collect(kind, hook, loaded, Provider)
    left_out = frozenset(origin.distribution for origin in loaded.left_out)
    return ProviderRegistry(kind, distribution, found.items, found.origins, found.faults, left_out)


def _collect_sources(distribution: str, hook: Any, loaded: LoadedPlugins) -> VariableSources:
    """Collect the variable sources, keeping track of their plugins."""
    found = _collect(KIND, hook, loaded, VariableSource)
    left_out = frozenset(origin.distribution for origin in loaded.left_out)
    names = ProviderRegistry[Any](KIND, distribution, found.items, found.origins, found.faults, left_out)
    return VariableSources(found.items, found.origins, found.faults, names.describe_missing)


@dataclass(frozen=True, slots=True)
class _Collection:
    """What the plugins offer by one hook."""

    items: dict[str, Any]
    origins: dict[str, Origin]
    faults: tuple[Fault, ...]


def _collect(kind: str, hook: Any, loaded: LoadedPlugins, item_type: type) -> _Collection:
    """Call the implementations of one hook.

    Each is called separately, so that one that raises does not affect the others.
    """
    items: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    faults = list(loaded.faults)
    for implementation in hook.get_hookimpls():
        origin = loaded.origins[implementation.plugin_name]
        try:
            offered = list(_check_items(implementation.function(), item_type))
        except Exception as error:  # noqa: BLE001  # a border with foreign code: the fault is recorded, and shown
            faults.append(Fault(origin, error))
            continue
        for item in offered:
            if rival := origins.get(item.name):
                raise PluginError(
                    f"{kind} {item.name!r} is offered by both {rival} and {origin}; uninstall one, "
                    f"or set GATEWAY_DISABLED_PLUGINS={origin.plugin}"
                )
            items[item.name] = item
            origins[item.name] = origin
    return _Collection(items, origins, tuple(faults))


def _check_items(answer: Iterable[object], item_type: type) -> Iterator[Any]:
    for item in answer:
        if not isinstance(item, item_type):
            raise PluginError(f"its hook must yield {item_type.__name__} objects, not {type(item).__name__}")
        yield item
