"""Secrets of imported entries, moved into the system keyring."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from mcp_gateway.plugin import PluginError, VariableError
from mcp_gateway.plugin_host.variable_sources import VariableSources
from mcp_gateway_cli.clients.imports import ImportedServer, ImportPlan
from mcp_gateway_cli.clients.translation import Entry
from mcp_gateway_cli.secrets.replacement import replace_secrets

SOURCE = "keyring"
"""The variable source that keeps them."""

_VARIABLE = re.compile(r"\$\{keyring:([^}]+)\}")
_UNFIT = re.compile(r"[^\w.:/@+-]+")
_MAX_NAME = 150


@dataclass(frozen=True, slots=True)
class MovedSecret:
    """A secret under its name in the keyring.

    `is_new` is false if it is there already.
    """

    name: str
    value: str = field(repr=False)
    is_new: bool = True


@dataclass(slots=True)
class KeyringMove:
    """The secrets of a plan, with stable names in the keyring."""

    sources: VariableSources
    secrets: dict[str, MovedSecret] = field(default_factory=dict)

    def move(self, plan: ImportPlan) -> ImportPlan:
        """Return a plan with variables in place of the secrets.

        Nothing is written yet.

        Raises:
            ConfigError: there is no keyring that answers.

        """
        check_keyring(self.sources)
        return replace(plan, servers=tuple(self._move_server(server) for server in plan.servers))

    def _move_server(self, server: ImportedServer) -> ImportedServer:
        if not server.is_new:
            return server
        return replace(
            server, entry=replace_secrets(server.entry, lambda label, value: self._name(server, label, value))
        )

    def _name(self, server: ImportedServer, label: str, value: str) -> str:
        """Choose a name, free or of the same secret; return its variable."""
        base = _UNFIT.sub("_", f"{server.name}.{label}")[:_MAX_NAME]
        number = 1
        while True:
            name = base if number == 1 else f"{base}-{number}"
            known = self.secrets.get(name)
            there = known.value if known is not None else self.sources.read(SOURCE, name)
            if there is None or there == value:
                self.secrets.setdefault(name, MovedSecret(name, value, is_new=there is None))
                return f"${{{SOURCE}:{name}}}"
            number += 1


def check_keyring(sources: VariableSources) -> None:
    """Make sure that there is a keyring, and that it answers.

    Raises:
        PluginError: no plugin brings it; the message says what to install.
        VariableError: it does not answer.

    """
    if sources[SOURCE].write is None:
        raise VariableError("the variable source 'keyring' can only be read")
    sources.read(SOURCE, "probe")


def has_keyring(sources: VariableSources) -> bool:
    """Whether there is a keyring that answers."""
    try:
        check_keyring(sources)
    except (PluginError, VariableError):
        return False
    return True


def list_labels(plan: ImportPlan) -> list[str]:
    """Return the labels of secrets in the new entries of a plan."""
    found: list[str] = []

    def note(server: str, label: str, value: str) -> str:
        found.append(f"{server}.{label}")
        return value

    for server in plan.new:
        replace_secrets(server.entry, partial(note, server.name))
    return found


def store_secrets(sources: VariableSources, secrets: Iterable[MovedSecret]) -> None:
    """Put the new ones into the keyring: all, or none.

    Raises:
        VariableError: it does not take one.

    """
    stored: list[str] = []
    try:
        for secret in secrets:
            if secret.is_new:
                stored.append(secret.name)  # first, because a failed try may have left something
                sources.write(SOURCE, secret.name, secret.value)
    except VariableError:
        remove_secrets(sources, stored)
        raise


def remove_secrets(sources: VariableSources, names: Sequence[str]) -> list[str]:
    """Remove secrets; return a line for each that could not be removed."""
    problems: list[str] = []
    for name in names:
        try:
            sources.remove(SOURCE, name)
        except (PluginError, VariableError) as error:
            problems.append(f"the secret {name!r} stays in the system keyring: {error}")
    return problems


def make_revealer(find_sources: Callable[[], VariableSources]) -> Callable[[Entry], Entry]:
    """Return a function that replaces variables by their secrets.

    By that an entry is the same before and after its secrets were moved. What the keyring does not have stays. Plugins
    are loaded only if there is such a variable.

    The function raises VariableError if the keyring does not answer: a server would be imported once more.
    """

    def reveal(value: Any) -> Any:
        if isinstance(value, str):
            return _VARIABLE.sub(lambda match: _read(find_sources(), match), value)
        if isinstance(value, list):
            return [reveal(item) for item in value]
        return {key: reveal(item) for key, item in value.items()} if isinstance(value, dict) else value

    return reveal


def _read(sources: VariableSources, match: re.Match[str]) -> str:
    try:
        return sources.read(SOURCE, match[1]) or match[0]
    except PluginError:
        return match[0]
