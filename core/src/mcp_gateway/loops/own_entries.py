"""Entries that lead to the gateway that reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mcp_gateway.loops.addresses import leads_to
from mcp_gateway.loops.commands import Program, find_programs
from mcp_gateway.loops.containers import HOST_NAMES, Container
from mcp_gateway.loops.programs import find_bridge_urls, find_config_argument, is_gateway_program
from mcp_gateway.plugin import Provider

_FILE, _ENV_FILE = "SERVER_CONFIG_PATH", "GATEWAY_ENV_FILE"
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_STARTS_ITSELF = (
    "its command starts this gateway itself, which would be behind itself without end; for a second gateway, "
    "set SERVER_CONFIG_PATH in its env to another file of servers"
)
_LEADS_HERE = "its URL leads to this gateway itself, which would be behind itself without end"


@dataclass(frozen=True, slots=True)
class OwnEntries:
    """What tells a gateway's own entries.

    * `file`: its file of servers.
    * `endpoints`: the URLs at which it is reached.
    """

    file: Path
    endpoints: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, file: Path, transport: Provider[Any, Any] | None, environ: Mapping[str, str]) -> OwnEntries:
        """Return those of a gateway that serves by this transport."""
        endpoints: tuple[str, ...] = ()
        if transport is not None and transport.endpoints is not None:
            with suppress(ValidationError):  # said with the settings
                endpoints = tuple(transport.endpoints(transport.options.model_validate(environ)))
        return cls(file, endpoints, environ)

    def describe(self, keys: Mapping[str, Any]) -> str:
        """Return why an entry of this gateway itself is left out."""
        url = keys.get("url")
        if isinstance(url, str) and "://" in url and "socket" not in keys and leads_to(url, self.endpoints):
            return _LEADS_HERE
        command = keys.get("command") or (url if isinstance(url, str) and "://" not in url else "")
        if not isinstance(command, str) or not command:
            return ""
        variables, folder = _texts(keys.get("env")), keys.get("cwd")
        programs = find_programs([command, *_words(keys.get("args"))], variables)
        here = Path(folder) if isinstance(folder, str) else Path()
        return next((found for program in programs if (found := self._describe_program(program, here))), "")

    def _describe_program(self, program: Program, folder: Path) -> str:
        if self._is_reached(find_bridge_urls(program), program.container):
            return _LEADS_HERE
        path = program.variables.get("PATH") or self.environ.get("PATH")
        is_own = is_gateway_program(program, path) and self._has_own_file(program, folder)
        return _STARTS_ITSELF if is_own else ""

    def _is_reached(self, urls: Iterable[str], container: Container | None) -> bool:
        """Whether one of the URLs leads here, from inside a container, too."""
        if container is None:
            return any(leads_to(url, self.endpoints) for url in urls)
        if container.has_host_network:
            return any(leads_to(url, self.endpoints, HOST_NAMES) for url in urls)
        return any(leads_to(url, self.endpoints, HOST_NAMES) for url in urls if not _is_inside(url))

    def _has_own_file(self, program: Program, folder: Path) -> bool:
        """Whether a gateway reads the same file, or names none."""
        if (container := program.container) is not None:
            return self._is_mounted(program, container)
        named = find_config_argument(program.arguments) or _find_named_file(program.variables, folder)
        return not named or self._is_same_file(folder / _expand(named, program.variables))

    def _is_mounted(self, program: Program, container: Container) -> bool:
        """Whether a container's gateway reads the same file, or names none."""
        named = find_config_argument(program.arguments) or program.variables.get(_FILE)
        if named:
            outside = container.find_outside(named)
            return outside is not None and self._is_same_file(outside)
        return not container.mounts or any(self._is_same_file(Path(outside)) for outside in container.mounts.values())

    def _is_same_file(self, other: Path) -> bool:
        try:
            return other.expanduser().resolve() == self.file.resolve()
        except (OSError, RuntimeError, ValueError):
            return False


def _find_named_file(variables: Mapping[str, str], folder: Path) -> str:
    """Return the file that variables or their `.env` name."""
    if named := variables.get(_FILE):
        return named
    if not (env_file := variables.get(_ENV_FILE)):
        return ""
    from dotenv import dotenv_values

    place = folder / Path(_expand(env_file, variables)).expanduser()
    try:
        inside = dotenv_values(place).get(_FILE) or ""
    except (OSError, UnicodeDecodeError):
        return ""
    return str(place.parent / inside) if inside else ""


def _expand(path: str, variables: Mapping[str, str]) -> str:
    """Expand `~` and the variables of a shell in a path."""
    for name, value in {"HOME": os.path.expanduser("~"), **variables}.items():  # noqa: PTH111  # as text
        path = path.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return os.path.expanduser(path)  # noqa: PTH111  # Path's own raises where there is no home


def _is_inside(url: str) -> bool:
    """Whether a URL means the container itself."""
    from urllib.parse import urlsplit

    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower() in _LOCAL_NAMES
    except ValueError:
        return True


def _texts(variables: object) -> dict[str, str]:
    found = variables if isinstance(variables, Mapping) else {}
    return {str(name): str(value) for name, value in found.items()}


def _words(arguments: object) -> list[str]:
    return [str(word) for word in arguments] if isinstance(arguments, list) else []
