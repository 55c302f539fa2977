"""Settings of Claude Code that forbid tools, in files of their own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.recognition import find_at
from mcp_gateway.config.syntax.json_text import parse_json
from mcp_gateway.config.trust import read_whole
from mcp_gateway.plugin import ConfigError

_FILES = ("settings.json", "settings.local.json")
_DENIED = ("permissions", "deny")


def with_denials(document: Mapping[str, Any], path: Path, warnings: list[str]) -> dict[str, Any]:
    """Return a document of Claude Code with what its settings deny.

    They are in `.claude` beside the file, and in that of the user, as they hold in all projects. Settings can only
    forbid something here.
    """
    denied = find_at(document, _DENIED)
    found = list(denied) if isinstance(denied, list) else []
    for file in _settings_files(path):
        found += _read_denials(file, warnings)
    permissions = document.get("permissions")
    rest = permissions if isinstance(permissions, dict) else {}
    return {**document, "permissions": {**rest, "deny": found}} if found else {**document}


def _settings_files(path: Path) -> list[Path]:
    folders = [path.absolute().parent / ".claude"]
    with suppress(RuntimeError):  # a container may have no home folder
        folders.append(Path.home() / ".claude")
    files = [folder / name for folder in dict.fromkeys(folders) for name in _FILES]
    return [file for file in files if file.is_file() and file != path.absolute()]


def _read_denials(file: Path, warnings: list[str]) -> list[str]:
    try:
        settings, _ = parse_json(read_whole(file).decode("utf-8-sig"))
    except (ConfigError, UnicodeDecodeError, RecursionError):
        warnings.append(f"{file} cannot be read; what it denies is not known here")
        return []
    denied = find_at(settings, _DENIED)
    return [rule for rule in denied if isinstance(rule, str)] if isinstance(denied, list) else []
