"""Entries of other programs, written in the gateway's own form."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.entries import RawEntry
from mcp_gateway.config.forms.variables import InputQuestion
from mcp_gateway.config.tool_policy import RuleList, ToolPolicy, ToolRule
from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.implementation import NAME

Entry = dict[str, Any]
"""A server in the gateway's own form."""

_WORKSPACE = re.compile(r"\$\{(workspaceFolder|workspaceRoot|cwd)\}")
_WORKSPACE_NAME = "${workspaceFolderBasename}"
_INPUT = re.compile(r"\$\{input:([^}]+)\}")
_FILE = re.compile(r"\$\{file:([^}]+)\}")
_OF_OPEN_FOLDER = re.compile(
    r"\$\{((workspaceFolder|workspaceFolderBasename|workspaceRoot|workspaceRootFolderName|cwd|fileWorkspaceFolder"
    r"|fileWorkspaceFolderBasename|relativeFile|relativeFileDirname)(:[^}]*)?|CLAUDE_PROJECT_DIR(:-[^}]*)?"
    r"|file|fileDirname|fileDirnameBasename|fileBasename|fileBasenameNoExtension|fileExtname)\}"
)
"""Variables that come to something else in each folder that a program has open."""
_ADVICE = f"to have it for one folder, add it with that folder: {NAME} add NAME -- COMMAND"
_WILDCARD = re.compile(r"[*?\[]")
_ORDER = ("name", "transport", "command", "args", "env", "cwd", "url")


def translate_entry(
    raw: RawEntry, folder: Path, questions: Mapping[str, InputQuestion], *, is_user_wide: bool = False
) -> Entry:
    """Return an entry with the same meaning in another file.

    `folder` is where the relative paths of its file begin. One that is `is_user_wide` has none: they begin in the
    folder that its program has open.

    Raises:
        ConfigError: it cannot be written so; the message says why.

    """
    if is_user_wide:
        _refuse_open_folder(raw.keys)
    keys = _place(dict(raw.keys), folder)
    keys = {key: _settle_text(value, folder, questions) for key, value in keys.items()}
    if keys.get("transport") == ("stdio" if "command" in keys else "http"):
        del keys["transport"]
    keys.pop("enabled", None)
    for key in [key for key in ("env", "args", "auth_headers") if keys.get(key) in ({}, [])]:
        del keys[key]
    if raw.foreign and raw.policy:
        keys["tools"] = _write_policy(raw.policy)
    first = {key: keys[key] for key in _ORDER if key in keys}
    return first | {key: value for key, value in keys.items() if key not in first}


def _refuse_open_folder(keys: Mapping[str, Any]) -> None:
    """Refuse an entry that depends on the folder that is open."""
    used = next(filter(None, map(_OF_OPEN_FOLDER.search, _list_texts(dict(keys)))), None)
    if used is not None:
        raise ConfigError(f"only that program knows its folder, {used[0]}; {_ADVICE}")
    for key in ("command", "cwd", "envFile"):
        path = keys.get(key)
        if isinstance(path, str) and (key != "command" or _has_folder(path)) and _join(Path("/"), path) != path:
            raise ConfigError(f"only that program knows the folder in which its {key} {path!r} begins; {_ADVICE}")


def _list_texts(value: Any) -> Iterator[str]:
    """Yield every text in a value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _list_texts(item)
    elif isinstance(value, str):
        yield value


def _has_folder(command: str) -> bool:
    """Whether a command is a path, and no name or URL."""
    return re.search(r"[/\\]", command) is not None and "://" not in command


def _place(keys: Entry, folder: Path) -> Entry:
    """Make paths whole that begin in the folder of the file."""
    command = keys.get("command")
    if isinstance(command, str) and _has_folder(command):
        keys["command"] = _join(folder, command)
    for key in ("cwd", "envFile"):
        if isinstance(keys.get(key), str):
            keys[key] = _join(folder, keys[key])
    return keys


def _join(folder: Path, path: str) -> str:
    if path.startswith(("~", "${", "$")) or re.match(r"[A-Za-z]:[\\/]|\\\\", path):
        return path
    return os.path.normpath(folder / path) if not Path(path).is_absolute() else path


def _settle_text(value: Any, folder: Path, questions: Mapping[str, InputQuestion]) -> Any:
    """Settle what a text says of its file, its folder and inputs."""
    if isinstance(value, list):
        return [_settle_text(item, folder, questions) for item in value]
    if isinstance(value, dict):
        return {key: _settle_text(item, folder, questions) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    value = _WORKSPACE.sub(lambda _: str(folder), value.replace(_WORKSPACE_NAME, folder.name))
    value = _FILE.sub(lambda match: f"${{file:{_join(folder, match[1])}}}", value)
    return _INPUT.sub(lambda match: _settle_input(match, questions), value)


def _settle_input(match: re.Match[str], questions: Mapping[str, InputQuestion]) -> str:
    """Replace an input by its default.

    A gateway that a program starts has nobody to ask, so that an input without one would fail there.
    """
    question = questions.get(match[1]) or InputQuestion(match[1])
    if question.default is None:
        raise ConfigError(
            f"only that program can ask for its input {match[1]!r}; add the server with the value itself: {NAME} add "
            f"NAME -e KEY=VALUE -- COMMAND, or {NAME} add NAME URL -H 'KEY: VALUE'"
        )
    return question.default


def _write_policy(policy: ToolPolicy) -> dict[str, list[str]]:
    """Write a policy as `include` and `exclude`."""
    include: list[str] | None = None
    exclude: list[str] = []
    for rules in policy.lists:
        globs = [glob for rule in rules.rules for glob in _write_rule(rule)]
        if _permits_only(rules):
            if include is not None:
                raise ConfigError("two lists there permit its tools, which one entry cannot say")
            include = globs
        elif all(not rule.permits for rule in rules.rules) and rules.default:
            exclude += globs
        else:
            raise ConfigError("its tools are switched on and off by turns there, which one entry cannot say")
    found: dict[str, list[str]] = {} if include is None else {"include": list(dict.fromkeys(include))}
    return found | ({"exclude": list(dict.fromkeys(exclude))} if exclude else {})


def _permits_only(rules: RuleList) -> bool:
    return not rules.default and all(rule.permits for rule in rules.rules)


def _write_rule(rule: ToolRule) -> Iterator[str]:
    """Yield a rule as globs for names without a prefix."""
    if not rule.prefix or rule.permits:
        yield rule.glob
    elif rule.glob.startswith(rule.prefix):
        yield rule.glob.removeprefix(rule.prefix)
    elif rule.glob.endswith("*") and fnmatchcase(rule.prefix, rule.glob):
        yield "*"  # the glob ends within the prefix, so that it stands for every tool
    elif _WILDCARD.search(rule.glob):
        raise ConfigError(f"the rule {rule.glob!r} there forbids some of its tools, in a way that one entry cannot say")
    # Anything else names a tool of another server.
