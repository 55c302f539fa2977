"""Variable sources by name, asked within a time limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TypeVar

from mcp_gateway.plugin import PluginError, VariableError, VariableSource, call_in_time
from mcp_gateway.plugin_host.loader import Fault, Origin

ResultT = TypeVar("ResultT")

KIND = "variable source"

SECONDS = 20.0
"""How long a source may take to answer: it may have to ask a person to unlock it."""

SERVING_SECONDS = 5.0
"""How long while serving, where clients wait meanwhile, and a later answer is taken, too."""


@dataclass(frozen=True, slots=True)
class VariableSources:
    """The variable sources of all plugins, by name.

    `explain_unknown` says of a name that no source has what to install. `last_values` are those that readings of the
    configuration have got so far; `late_answers` are set once a source has answered after its time.
    """

    sources: Mapping[str, VariableSource] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    explain_unknown: Callable[[str], str] = "no variable source is called {!r}".format
    seconds: float = SECONDS
    last_values: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    late_answers: set[Event] = field(default_factory=set)

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

    def take_late_answers(self) -> bool:
        """Whether a source has answered after its time; each is told once."""
        found = {answer for answer in self.late_answers if answer.is_set()}
        self.late_answers.difference_update(found)
        return bool(found)

    def _ask(self, source: VariableSource, function: Callable[[], ResultT]) -> ResultT:
        answer = Event()

        def ask() -> ResultT:
            result = function()
            answer.set()  # not if it fails: who has closed the window of a keyring is not asked at once again
            return result

        try:
            return call_in_time(self.seconds, ask)
        except VariableError:
            raise
        except TimeoutError:
            self.late_answers.add(answer)
            message = f"the variable source {source.name!r} has not answered within {self.seconds:g} s"
            raise VariableError(f"{message}; unlock it, then try again") from None
        except Exception as error:  # noqa: BLE001  # a border with foreign code, whose words may be secrets
            raise VariableError(f"the variable source {source.name!r} has failed: {type(error).__name__}") from None


@dataclass(slots=True)
class VariableReader:
    """One reading of the configuration, which asks for each value once.

    A source that cannot answer is not asked again, as each question may take as long as the first. What it gave to an
    earlier reading stays in use: a keyring that locks itself must not end the servers that run.

    * `is_complete`: whether there was a value for each variable.
    * `files`: the files whose change may change a value.
    """

    sources: VariableSources
    is_complete: bool = True
    files: set[Path] = field(default_factory=set)
    _values: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _failures: dict[str, VariableError] = field(default_factory=dict, repr=False)
    _kept: set[str] = field(default_factory=set)

    def read(self, name: str, key: str) -> str:
        """Return the value of `${name:key}`.

        Raises:
            PluginError: there is no such source.
            VariableError: it has no such key, or cannot answer.

        """
        if (name, key) not in self._values:
            self._values[name, key] = self._read(name, key)
        return self._values[name, key]

    def list_warnings(self) -> list[str]:
        """Return a line for each source whose earlier values are used."""
        return [f"{self._failures[name]}; until then servers keep the values that they have" for name in self._kept]

    def _read(self, name: str, key: str) -> str:
        last_values = self.sources.last_values
        try:
            value = self._ask(name, key)
        except VariableError:
            if (name, key) in last_values:
                self._kept.add(name)
                return last_values[name, key]
            self.is_complete = False
            raise
        if value is None:
            last_values.pop((name, key), None)
            self.is_complete = False
            raise VariableError(f"there is no such variable; {self.sources[name].explain_missing(key)}")
        last_values[name, key] = value
        return value

    def _ask(self, name: str, key: str) -> str | None:
        if name in self._failures:
            raise self._failures[name]
        self._note_file(self.sources[name])
        try:
            return self.sources.read(name, key)
        except VariableError as error:
            self._failures[name] = error
            raise

    def _note_file(self, source: VariableSource) -> None:
        if source.find_file is not None:
            with suppress(VariableError):
                self.files.add(source.find_file())
