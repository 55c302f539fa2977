"""The plugin template: packages that work and keep their contract, with names to fill in."""

from __future__ import annotations

import keyword
import re
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, entry_points, packages_distributions
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from mcp_gateway.plugin import PROJECT

PREFIXES = {
    "ranker": "ranker",
    "storage": "storage",
    "auth": "auth",
    "client-transport": "transport",
    "server-transport": "transport",
    "variables": "variables",
    "command": "command",
}
"""What the names of each kind's entry points begin with."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_SUFFIX = ".tmpl"
_TAKEN = frozenset({"anyio", "mcp", "mcp_gateway", "mcp_gateway_testkit", "pydantic", "pytest", "src", "tests"})


class TemplateError(Exception):
    """The plugin cannot be written; the message says why, in one line."""


def write_plugin(kind: str, name: str, into: Path) -> Path:
    """Write a plugin of `kind` into the new folder `name` below `into`; return that folder.

    Raises:
        TemplateError: the name cannot be used, or the folder is there already.

    """
    words = _words(kind, name)
    folder = into / name
    if folder.exists():
        raise TemplateError(f"{folder} exists already; choose another name, or another folder with --into")
    try:
        for source in (files(__name__) / "shared", files(__name__) / kind):
            _copy(source, folder, words)
    except OSError as error:
        raise TemplateError(f"cannot write {folder}: {error.strerror or error}") from error
    return folder


def _words(kind: str, name: str) -> dict[str, str]:
    """Return what is written in place of the template's own words."""
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise TemplateError(
            f"{name!r} cannot be a plugin's name: use lower-case letters and digits, words joined by -, "
            f"a letter first, at most {_LONGEST_NAME} in all, such as my-{kind}"
        )
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package in _TAKEN:
        raise TemplateError(f"{name!r} cannot be a plugin's name: Python has a module or a word called {package!r}")
    entry = f"{PREFIXES[kind]}-{name}"
    if owner := _find_owner(name, package, entry):
        raise TemplateError(f"{name!r} is taken: {owner}; choose another name")
    title = "".join(word.capitalize() for word in name.split("-"))
    return {
        "kind-my-plugin": entry,
        "my-plugin": name,
        "my_plugin": package,
        "MyPlugin": title,
        "MY_PLUGIN": package.upper(),
    }


def _find_owner(name: str, package: str, entry: str) -> str:
    """Describe what is installed under one of a new plugin's names, if anything."""
    for point in entry_points(group=PROJECT, name=entry):
        if point.dist is not None:
            return f"{point.dist.name} is installed, and offers {entry}"
    with suppress(PackageNotFoundError):
        return f"{distribution(name).name} is installed, and the plugin would replace it"
    owners = packages_distributions().get(package)
    return f"{owners[0]} is installed, and has a module {package}" if owners else ""


def _copy(source: Traversable, target: Path, words: dict[str, str]) -> None:
    if source.is_dir():
        for child in source.iterdir():
            if child.name != "__pycache__":
                _copy(child, target / _filled(child.name.removesuffix(_SUFFIX), words), words)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_filled(source.read_text(encoding="utf-8"), words), encoding="utf-8")


def _filled(text: str, words: dict[str, str]) -> str:
    for word, name in words.items():
        text = text.replace(word, name)
    return text
