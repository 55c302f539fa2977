"""Variable sources by name, asked within a time limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mcp_gateway.plugin import PluginError, VariableError, VariableSource, call_in_time
from mcp_gateway.plugin_host.loader import Fault, Origin

ResultT = TypeVar("ResultT")

KIND = "variable source"

SECONDS = 20.0
"""How long a source may take to answer: it may have to ask a person to unlock it."""


@dataclass(frozen=True, slots=True)
class VariableSources:
    """The variable sources of all plugins, by name.

    `explain_unknown` says of a name that no source has what to install.
    """

    sources: Mapping[str, VariableSource] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    explain_unknown: Callable[[str], str] = "no variable source is called {!r}".format
    seconds: float = SECONDS

    def __getitem__(self, name: str) -> VariableSource:
        """Return the source called `name`.

        Raises:
            PluginError: there is none.

        """
        try:
            return self.sources[name]
        except KeyError:
            raise PluginError(self.explain_unknown(name)) from None

    def read(self, name: str, key: str) -> str | None:
        """Return a value; None if there is none.

        Raises:
            PluginError: there is no such source.
            VariableError: it cannot answer.

        """
        source = self[name]
        value = self._ask(source, lambda: source.read(key))
        if value is not None and not isinstance(value, str):
            raise VariableError(f"the variable source {name!r} has answered with something that is no text")
        return value

    def write(self, name: str, key: str, value: str) -> None:
        """Keep a value, and make sure that it is there.

        Raises:
            PluginError: there is no such source.
            VariableError: it cannot keep the value.

        """
        source = self[name]
        write = source.write
        if write is None:
            raise VariableError(f"the variable source {name!r} can only be read")
        self._ask(source, lambda: write(key, value))
        # Some keep nothing, and do not say so.
        if self.read(name, key) != value:
            raise VariableError(f"the variable source {name!r} has not kept {key!r}")

    def remove(self, name: str, key: str) -> bool:
        """Forget a value; return whether there was one.

        Raises:
            PluginError: there is no such source.
            VariableError: it cannot do that.

        """
        source = self[name]
        remove = source.remove
        if remove is None:
            raise VariableError(f"the variable source {name!r} can only be read")
        return self._ask(source, lambda: remove(key))

    def _ask(self, source: VariableSource, function: Callable[[], ResultT]) -> ResultT:
        try:
            return call_in_time(self.seconds, function)
        except VariableError:
            raise
        except TimeoutError:
            message = f"the variable source {source.name!r} has not answered within {self.seconds:g} s"
            raise VariableError(f"{message}; unlock it, then try again") from None
        except Exception as error:  # noqa: BLE001  # a border with foreign code, whose words may be secrets
            raise VariableError(f"the variable source {source.name!r} has failed: {type(error).__name__}") from None


@dataclass(slots=True)
class VariableReader:
    """One reading of the configuration, which asks for each value once.

    A source that cannot answer is not asked again, as each question may take as long as the first.
    """

    sources: VariableSources
    _values: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _failures: dict[str, VariableError] = field(default_factory=dict, repr=False)

    def read(self, name: str, key: str) -> str:
        """Return the value of `${name:key}`.

        Raises:
            PluginError: there is no such source.
            VariableError: it has no such key, or cannot answer.

        """
        if name in self._failures:
            raise self._failures[name]
        if (name, key) not in self._values:
            self._values[name, key] = self._read(name, key)
        return self._values[name, key]

    def _read(self, name: str, key: str) -> str:
        try:
            value = self.sources.read(name, key)
        except VariableError as error:
            self._failures[name] = error
            raise
        if value is None:
            raise VariableError(f"there is no such variable; {self.sources[name].explain_missing(key)}")
        return value
