"""Variables in configuration strings: `${VAR}`, `${VAR:-default}` and `${env:VAR}`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<body>[^}]*)\}")
_BODY = re.compile(r"(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


_OWN = ("GATEWAY_AUTH_TOKEN", "GATEWAY_OAUTH_KEY")
"""The gateway's own secrets, which must not be sent to servers."""


class Unset(Exception):
    """A variable that cannot be expanded.

    It has neither value nor default, or is one that only an editor can resolve.
    """


def expand(value: Any, environ: Mapping[str, str]) -> Any:
    """Expand variables in every string in `value`, recursively.

    `$${` stands for a literal `${`.

    Raises:
        Unset: a variable cannot be expanded; the message names it.

    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _expand_match(match, environ), value)
    if isinstance(value, list):
        return [expand(item, environ) for item in value]
    if isinstance(value, dict):
        return {key: expand(item, environ) for key, item in value.items()}
    return value


def _expand_match(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match["escaped"]:
        return "${"
    body = _BODY.fullmatch(match["body"])
    if body is None:
        raise Unset(f"${{{match['body']}}} is not a variable that the gateway can expand; write ${{NAME}}")
    name = body["name"]
    if os.name == "nt" and name not in environ:  # names are case-insensitive on Windows
        name = name.upper()
    if name in _OWN:
        raise Unset(f"the environment variable {name} is the gateway's own secret; servers do not get it")
    found = environ.get(name)
    # As in a shell, the default after `:-` also replaces an empty value.
    if found is not None and (found or body["default"] is None):
        return found
    if body["default"] is None:
        raise Unset(f"the environment variable {body['name']} is not set")
    return str(body["default"])
