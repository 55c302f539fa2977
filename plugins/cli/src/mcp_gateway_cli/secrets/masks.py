"""Secrets in entries, hidden when these are shown."""

from __future__ import annotations

import re
from typing import Any

from mcp_gateway.text.redaction import mask_secrets
from mcp_gateway_cli.clients.translation import Entry
from mcp_gateway_cli.secrets.patterns import FLAG, NAMES, QUERY, VALUES

MASK = "***"
HOLDERS = ("env", "auth_headers")
"""Keys of an entry whose values may be secrets; they are never shown."""

_VARIABLE = re.compile(r"(?:(?:Bearer|Basic|Token|ApiKey) +)?\$\{[^}]*\}", re.IGNORECASE)


def mask_entry(entry: Entry) -> Entry:
    """Return an entry as it may be shown."""
    masked = dict(entry)
    for key in HOLDERS:
        if isinstance(entry.get(key), dict):
            masked[key] = {name: _mask_value(value) for name, value in entry[key].items()}
    if isinstance(entry.get("args"), list):
        masked["args"] = mask_arguments(entry["args"])
    if isinstance(entry.get("url"), str):
        masked["url"] = QUERY.sub(lambda match: f"{match[1]}{_mask_value(match['value'])}", mask_secrets(entry["url"]))
    if "client_secret" in entry:
        masked["client_secret"] = _mask_value(entry["client_secret"])
    return masked


def _mask_value(value: Any) -> str:
    """Hide a value; what only names a variable may be seen."""
    return value if isinstance(value, str) and _VARIABLE.fullmatch(value) and ":-" not in value else MASK


def mask_arguments(arguments: list[Any]) -> list[Any]:
    """Return the arguments of a program as they may be shown."""
    masked: list[Any] = []
    after_flag = False
    for argument in arguments:
        text = str(argument)
        flag = FLAG.fullmatch(text)
        is_named = flag is not None and NAMES.search(flag["name"]) is not None
        if after_flag and flag is None:
            masked.append(_mask_value(text))
        elif flag is not None and is_named and flag["value"]:
            masked.append(f"{text.partition('=')[0]}={_mask_value(flag['value'])}")
        else:
            masked.append(VALUES.sub(MASK, mask_secrets(text)) if "${" not in text else text)
        after_flag = is_named and flag is not None and not flag["value"]
    return masked
