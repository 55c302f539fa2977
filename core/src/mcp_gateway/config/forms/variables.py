"""Variables in configuration strings: `${VAR}`, `${VAR:-default}`, those of editors and of plugins."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_gateway.plugin import PluginError, VariableError
from mcp_gateway.plugin_host.variable_sources import VariableReader, VariableSources

_VARIABLE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<body>[^}]*)\}")
_BODY = re.compile(r"(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_OF_SOURCE = re.compile(r"(?P<source>[a-z][a-z0-9_-]*):(?P<key>.+)", re.DOTALL)
_OF_EDITORS = frozenset({"command", "config", "env", "extension"})
"""What stands before the colon in variables that only an editor can resolve, or that are wrong."""

OWN_SECRETS = ("GATEWAY_AUTH_TOKEN", "GATEWAY_OAUTH_KEY")
"""The gateway's own secrets, which must not be sent to servers."""

_SHELL = frozenset({"HOME", "HOST", "HOSTNAME", "LANG", "NAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "USER"})
"""Variables that are set anyway: they are not the answer to an input of that name."""

_MAX_FILE_BYTES = 1 << 20

AskFn = Callable[["InputQuestion"], str | None]
"""Asks a person for an input; returns None if there is no answer."""


class Unset(Exception):
    """A variable that cannot be expanded.

    It has neither value nor default, or is one that only an editor can resolve.
    """


class NoValue(Unset):
    """A variable that has no value here and now."""


@dataclass(frozen=True, slots=True)
class InputQuestion:
    """An input that a file wants: `${input:name}`.

    `options` are the values to choose from, if there are any.
    """

    name: str
    description: str = ""
    default: str | None = None
    is_secret: bool = False
    options: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable that answers it."""
        return f"INPUT_{self._upper}"

    @property
    def variables(self) -> list[str]:
        """The environment variables that answer it; the first that is set counts."""
        return [self.variable, self.name, *([] if self._upper in _SHELL else [self._upper])]

    @property
    def _upper(self) -> str:
        return re.sub(r"[^A-Z0-9]+", "_", self.name.upper())


@dataclass(slots=True)
class InputAnswers:
    """The answers of a person, who is asked once in a process.

    `ask` is None where there is nobody to ask.
    """

    ask: AskFn | None = None
    _answers: dict[str, str | None] = field(default_factory=dict, repr=False)

    def find(self, question: InputQuestion) -> str | None:
        """Return the answer to a question; None if there is none."""
        if question.name not in self._answers and self.ask is not None:
            self._answers[question.name] = self.ask(question)
        return self._answers.get(question.name)


@dataclass(frozen=True, slots=True)
class Variables:
    """The values of variables in one file.

    * `environ`: the environment variables.
    * `folder`: the folder that the file belongs to: what editors call the workspace.
    * `questions`: the inputs that the file describes, by name.
    * `reader`: reads those of variable sources: `${keyring:KEY}`.
    """

    environ: Mapping[str, str]
    folder: Path = Path()
    questions: Mapping[str, InputQuestion] = field(default_factory=dict)
    answers: InputAnswers = field(default_factory=InputAnswers)
    reader: VariableReader = field(default_factory=lambda: VariableReader(VariableSources()))

    def expand(self, value: Any) -> Any:
        """Expand variables in every string in `value`, recursively.

        `$${` stands for a literal `${`.

        Raises:
            Unset: a variable cannot be expanded; the message names it.

        """
        if isinstance(value, str):
            return _VARIABLE.sub(self._expand_match, value)
        if isinstance(value, list):
            return [self.expand(item) for item in value]
        if isinstance(value, dict):
            return {key: self.expand(item) for key, item in value.items()}
        return value

    def _expand_match(self, match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        written: str = match["body"]
        if written not in self.environ and (found := self._find_predefined(written)) is not None:
            return found
        kind, _, name = written.partition(":")
        if kind == "input" and name:
            return self._find_input(name)
        if kind == "file" and name:
            return self._read_file(name)
        body = _BODY.fullmatch(written)
        if body is None and (of_source := _OF_SOURCE.fullmatch(written)) and of_source["source"] not in _OF_EDITORS:
            return self._read_source(of_source["source"], of_source["key"])
        if body is None:
            raise Unset(f"${{{written}}} is not a variable that the gateway can expand; write ${{NAME}}")
        return self._find_variable(body["name"], body["default"])

    def _find_variable(self, name: str, default: str | None) -> str:
        found = self._lookup(name)
        # As in a shell, the default after `:-` also replaces an empty value.
        if found is not None and (found or default is None):
            return found
        if default is None:
            raise NoValue(f"the environment variable {name} is not set")
        return default

    def _lookup(self, name: str) -> str | None:
        if os.name == "nt" and name not in self.environ:  # names are case-insensitive on Windows
            name = name.upper()
        if name in OWN_SECRETS:
            raise Unset(f"the environment variable {name} is the gateway's own secret; servers do not get it")
        return self.environ.get(name)

    def _find_predefined(self, name: str) -> str | None:
        """Return what editors define; the environment can override it."""
        folder = self.folder.absolute()
        match name:
            case "workspaceFolder" | "workspaceRoot" | "cwd":
                return str(folder)
            case "workspaceFolderBasename":
                return folder.name
            case "pathSeparator" | "/":
                return os.sep
            case "userHome":
                return str(home_folder())
        return None

    def _find_input(self, name: str) -> str:
        question = self.questions.get(name) or InputQuestion(name)
        for variable in question.variables:
            if (found := self._lookup(variable)) is not None:
                return found
        answer = self.answers.find(question)
        if answer is None:
            answer = question.default
        if answer is None:
            raise NoValue(f"it wants the input {name!r}; set {question.variable}, or start it once in a terminal")
        return answer

    def _read_source(self, source: str, key: str) -> str:
        try:
            return self.reader.read(source, key)
        except (PluginError, VariableError) as error:
            raise NoValue(f"${{{source}:{key}}}: {error}") from None

    def _read_file(self, name: str) -> str:
        path = self.folder / expand_home(name)
        self.reader.files.add(path)
        try:
            if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
                raise NoValue(f"${{file:{name}}}: there is no such file, or it is larger than 1 MiB")
            return path.read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError):
            raise NoValue(f"${{file:{name}}}: it cannot be read") from None


def expand_home(path: str) -> str:
    """Replace a leading `~` by the home folder."""
    if path == "~" or path.startswith(("~/", "~\\")):
        return str(home_folder()) + path[1:]
    return path


def home_folder() -> Path:
    """Return the user's home folder.

    Raises:
        Unset: there is none.

    """
    try:
        return Path.home()
    except RuntimeError:
        raise Unset("there is no home folder; set HOME to a whole path") from None
