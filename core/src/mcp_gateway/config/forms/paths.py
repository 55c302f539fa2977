"""Paths of an entry, and variables that it takes from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.keys import PROJECT_FOLDER
from mcp_gateway.config.forms.variables import OWN_SECRETS, expand_home
from mcp_gateway.config.trust import read_whole
from mcp_gateway.plugin import ConfigError


def folder_of(path: Path, *, foreign: bool) -> Path:
    """Return the folder in which relative paths of a file begin.

    Programs keep their files in folders of a project, such as `.vscode`; there it is the project.
    """
    folder = path.absolute().parent
    if foreign:
        for above in (folder, folder.parent):
            if PROJECT_FOLDER.fullmatch(above.name):
                return above.parent
    return folder


def settle_surroundings(keys: Mapping[str, Any], folder: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return an entry with whole paths, and variables from elsewhere.

    These variables are those of its `envFile`, and those that `env_vars` and `env_http_headers` name, if they are set.

    Raises:
        ConfigError: the `envFile` cannot be read.

    """
    settled = dict(keys)
    command = settled.get("command")
    if isinstance(command, str):
        settled["command"] = _resolve_command(expand_home(command), folder)
    if isinstance(settled.get("cwd"), str):
        settled["cwd"] = str(folder / expand_home(settled["cwd"]))
    if isinstance(settled.get("args"), list):
        settled["args"] = [expand_home(item) if isinstance(item, str) else item for item in settled["args"]]
    if isinstance(env := settled.get("env"), dict):
        settled["env"] = {name: expand_home(value) if isinstance(value, str) else value for name, value in env.items()}
    if "envFile" in settled:
        read = _read_env_file(settled.pop("envFile"), folder)
        settled["env"] = {**read, **(settled.get("env") or {})}
    if inherited := _inherit(settled.pop("env_vars", None), environ):
        settled["env"] = {**inherited, **(settled.get("env") or {})}
    named = settled.pop("env_http_headers", None)
    if isinstance(named, dict) and (
        headers := {name: environ[v] for name, v in named.items() if _is_given(v, environ)}
    ):
        settled["auth_headers"] = {**(settled.get("auth_headers") or {}), **headers}
        settled.setdefault("auth_type", "static")
    return settled


def _inherit(listed: Any, environ: Mapping[str, str]) -> dict[str, str]:
    items = listed if isinstance(listed, list) else []
    names = [str(item.get("name") if isinstance(item, dict) else item) for item in items]
    return {name: environ[name] for name in names if _is_given(name, environ)}


def _is_given(name: object, environ: Mapping[str, str]) -> bool:
    return isinstance(name, str) and name in environ and name not in OWN_SECRETS


def _resolve_command(command: str, folder: Path) -> str:
    """Make a path whole; a bare name is searched for on PATH."""
    has_folder = "/" in command or "\\" in command
    if not has_folder or "://" in command or any(character < " " for character in command):
        return command
    return str(folder / command)


def _read_env_file(name: Any, folder: Path) -> dict[str, str]:
    if not isinstance(name, str) or not name:
        raise ConfigError("envFile: it must be the path of a file of variables")
    from io import StringIO

    from dotenv import dotenv_values

    path = folder / expand_home(name)
    try:
        text = read_whole(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"envFile: {path}: it cannot be read: it is not UTF-8") from None
    except ConfigError as error:
        raise ConfigError(f"envFile: {error}") from None
    # Without interpolation: it would read the gateway's own environment.
    values = dotenv_values(stream=StringIO(text), interpolate=False)
    return {key: value for key, value in values.items() if value is not None}
