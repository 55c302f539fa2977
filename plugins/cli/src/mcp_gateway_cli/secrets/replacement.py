"""Secrets in an entry, replaced one by one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mcp_gateway_cli.clients.translation import Entry
from mcp_gateway_cli.secrets.patterns import FLAG, QUERY, looks_secret

ReplaceFn = Callable[[str, str], str]
"""Takes the label and the value of a secret, and returns the text that goes in its place."""

_SCHEME = re.compile(r"(?P<before>(?:(?:Bearer|Basic|Token|ApiKey)\s+)?)(?P<value>\S.*)", re.DOTALL | re.IGNORECASE)
_HEADER = re.compile(r"(?P<before>(?P<name>[A-Za-z][\w-]*):\s*)(?P<value>[^\s/].*)", re.DOTALL)
_SETTING = re.compile(r"(?P<before>(?P<name>-{0,2}[A-Za-z][\w-]*)=)(?P<value>.+)", re.DOTALL)


def replace_secrets(entry: Entry, replace: ReplaceFn) -> Entry:
    """Return an entry with another text in the place of each secret."""
    replaced = dict(entry)
    for key, settle in (("env", _replace_plain), ("auth_headers", _replace_after_scheme)):
        if isinstance(entry.get(key), dict):
            replaced[key] = {name: _apply(settle, name, value, replace) for name, value in entry[key].items()}
    if isinstance(entry.get("args"), list):
        replaced["args"] = _replace_arguments(entry["args"], replace)
    if isinstance(entry.get("url"), str):
        replaced["url"] = QUERY.sub(
            lambda match: f"{match[1]}{_replace_plain(match['name'], match['value'], replace)}", entry["url"]
        )
    if "client_secret" in entry:
        replaced["client_secret"] = _apply(_replace_plain, "client_secret", entry["client_secret"], replace)
    return replaced


def _apply(settle: Callable[[str, str, ReplaceFn], str], name: str, value: Any, replace: ReplaceFn) -> Any:
    return settle(name, value, replace) if isinstance(value, str) else value


def _replace_plain(name: str, value: str, replace: ReplaceFn) -> str:
    return replace(name, value) if looks_secret(name, value) else value


def _replace_after_scheme(name: str, value: str, replace: ReplaceFn) -> str:
    """Replace what follows `Bearer` and its like, which is no secret."""
    found = _SCHEME.fullmatch(value)
    if found is None or not looks_secret(name, found["value"]):
        return value
    return f"{found['before']}{replace(name, found['value'])}"


def _replace_arguments(arguments: list[Any], replace: ReplaceFn) -> list[Any]:
    """Replace secrets in `--key VALUE`, `--key=VALUE`, `NAME=VALUE`, `Name: value` and alone."""
    replaced: list[Any] = []
    flag = ""
    for argument in arguments:
        given = FLAG.fullmatch(argument) if isinstance(argument, str) else None
        if isinstance(argument, str):
            replaced.append(_replace_argument(flag if given is None else "", argument, replace))
        else:
            replaced.append(argument)
        flag = given["name"] if given is not None and given["value"] is None else ""
    return replaced


def _replace_argument(flag: str, text: str, replace: ReplaceFn) -> str:
    if found := _SETTING.fullmatch(text):
        return f"{found['before']}{_replace_plain(found['name'].lstrip('-'), found['value'], replace)}"
    if found := _HEADER.fullmatch(text):
        return f"{found['before']}{_replace_after_scheme(found['name'], found['value'], replace)}"
    return _replace_plain(flag or "argument", text, replace)
