"""Secrets in entries, hidden when these are shown."""

from __future__ import annotations

import re
from typing import Any

from mcp_gateway.text.redaction import mask_secrets
from mcp_gateway_cli.clients.translation import Entry

MASK = "***"
HOLDERS = ("env", "auth_headers")
"""Keys of an entry whose values may be secrets; they are never shown."""

_NAMES = re.compile(
    r"token|secret|passw|passphrase|api.?key|access.?key|private.?key|auth|credential|cookie|bearer|signature"
    r"|(^|[_-])(key|pat|pwd|pass)$",
    re.IGNORECASE,
)
_VALUES = re.compile(
    r"(gh[pousr]_|github_pat_|glpat-|sk-|xox[abprs]-|AKIA|AIza|ya29\.|eyJ[\w-]+\.|npm_|hf_|lin_api_|ntn_|secret_)[\w.-]{8,}"
)
_FLAG = re.compile(r"-{1,2}(?P<name>[\w-]+)(?:=(?P<value>.*))?", re.DOTALL)
_QUERY = re.compile(r"([?&](?P<name>[^=&#]+)=)(?P<value>[^&#]+)")
_VARIABLE = re.compile(r"\$\{[^}]*\}")


def mask_entry(entry: Entry) -> Entry:
    """Return an entry as it may be shown."""
    masked = dict(entry)
    for key in HOLDERS:
        if isinstance(entry.get(key), dict):
            masked[key] = {name: _mask_value(value) for name, value in entry[key].items()}
    if isinstance(entry.get("args"), list):
        masked["args"] = mask_arguments(entry["args"])
    if isinstance(entry.get("url"), str):
        masked["url"] = _QUERY.sub(lambda match: f"{match[1]}{_mask_value(match['value'])}", mask_secrets(entry["url"]))
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
        flag = _FLAG.fullmatch(text)
        is_named = flag is not None and _NAMES.search(flag["name"]) is not None
        if after_flag and flag is None:
            masked.append(_mask_value(text))
        elif flag is not None and is_named and flag["value"]:
            masked.append(f"{text.partition('=')[0]}={_mask_value(flag['value'])}")
        else:
            masked.append(_VALUES.sub(MASK, mask_secrets(text)) if "${" not in text else text)
        after_flag = is_named and flag is not None and not flag["value"]
    return masked
