"""Plugin loader that isolates the errors of each plugin.

A plugin that cannot be imported or registered is recorded as a `Fault`, and the others load as usual.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions

import pluggy

from mcp_gateway.plugin import API_VERSION, PROJECT, PluginError, hookspecs


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a plugin: entry point, distribution and version."""

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        """Show all three: `ranker-bm25 (mcp-gateway-ranker-bm25 1.0.0)`."""
        return f"{self.plugin} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True)
class Fault:
    """A plugin that could not be used, and why."""

    origin: Origin
    error: Exception

    def __str__(self) -> str:
        """Show origin and reason in one line."""
        return f"{self.origin}: {self.reason}"

    @property
    def reason(self) -> str:
        """The error in one line."""
        text = " ".join(str(self.error).split())
        return text if isinstance(self.error, PluginError) else f"{type(self.error).__name__}: {text}"


@dataclass(frozen=True, slots=True)
class LoadedPlugins:
    """Plugins that work, faulty ones, and those left out on purpose."""

    manager: pluggy.PluginManager
    origins: dict[str, Origin]
    faults: tuple[Fault, ...] = ()
    left_out: tuple[Origin, ...] = ()

    @property
    def faulty_origins(self) -> tuple[Origin, ...]:
        """The origins of the faulty plugins."""
        return tuple(fault.origin for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Choice:
    """The plugins that may load: `only` these, without `disabled` ones.

    If `only` is empty, all are admitted but the `disabled` ones.
    """

    only: Collection[str] = field(default_factory=frozenset)
    disabled: Collection[str] = field(default_factory=frozenset)

    def admits(self, name: str) -> bool:
        """Whether a plugin may be imported, by its entry-point name."""
        return name not in self.disabled and (not self.only or name in self.only)


def load_plugins(choice: Choice | None = None, *, extra: Iterable[tuple[str, object]] = ()) -> LoadedPlugins:
    """Register every admitted plugin, then the `extra` ones.

    Installed plugins are registered in the order of their names.

    A plugin that is not admitted is not even imported. `extra` has pairs of a name and a plugin object, for programs
    that embed the gateway and bring plugins of their own.
    """
    choice = choice or Choice()
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    loaded: dict[str, Origin] = {}
    faults: list[Fault] = []
    left_out: list[Origin] = []
    for origin, entry_point in _find_entry_points():
        if not choice.admits(origin.plugin):
            left_out.append(origin)
            continue
        try:
            _register(manager, entry_point.load(), origin.plugin)
        except Exception as error:  # noqa: BLE001  # a border with foreign code: the fault is recorded, and shown
            faults.append(Fault(origin, error))
        else:
            loaded[origin.plugin] = origin
    for name, plugin in extra:
        _register(manager, plugin, name)
        loaded[name] = Origin(name, "this process", "-")
    return LoadedPlugins(manager, loaded, tuple(faults), tuple(left_out))


def _find_entry_points() -> list[tuple[Origin, EntryPoint]]:
    found: dict[tuple[str, str], tuple[Origin, EntryPoint]] = {}
    for distribution, entry_point in _entry_points():
        origin = Origin(entry_point.name, distribution.name, distribution.version)
        found.setdefault((entry_point.name, entry_point.value), (origin, entry_point))
    return [found[key] for key in sorted(found)]


def _entry_points() -> Iterator[tuple[Distribution, EntryPoint]]:
    for distribution in distributions():
        for entry_point in distribution.entry_points.select(group=PROJECT):
            yield distribution, entry_point


def _register(manager: pluggy.PluginManager, plugin: object, name: str) -> None:
    """Register a plugin; undo that if it has an unknown hook."""
    _check_version(plugin)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except Exception:
        if manager.has_plugin(name):
            manager.unregister(name=name)
        raise


def _check_version(plugin: object) -> None:
    version = getattr(plugin, "GATEWAY_API", None)
    if version is None:
        raise PluginError(f"it does not say which plugin API it was written for; add GATEWAY_API = {API_VERSION}")
    if version != API_VERSION:
        newer = isinstance(version, int) and version > API_VERSION
        advice = "update the core" if newer else "update the plugin"
        raise PluginError(f"it was written for plugin API {version!r}, and this core has {API_VERSION}; {advice}")
