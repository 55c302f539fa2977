"""Values in other programs' files: flags, headers, variables, arguments and durations."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from mcp_gateway.config.forms.recognition import is_comment_key

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0", ""})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|sec|seconds?|m|min|minutes?|h|hours?)?", re.IGNORECASE)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class UnclearValue(Exception):
    """A value that cannot be read; the message never holds it."""


SWITCHES: Mapping[str, bool] = {
    **dict.fromkeys(("disabled", "isDisabled"), False),
    **dict.fromkeys(("enabled", "active", "isActive", "is_active"), True),
}
"""The keys by which programs switch a server on or off, and what True means there."""


def read_flag(value: object) -> bool:
    """Read a flag in any of its spellings.

    Raises:
        UnclearValue: it is neither true nor false.

    """
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, str | int) else None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise UnclearValue("it must be true or false")


def is_switched_on(keys: Mapping[str, Any]) -> bool:
    """Whether an entry as it is written is on.

    What is unclear is off; what a variable decides counts as on.
    """
    try:
        return all(read_switch(key, keys[key]) for key in SWITCHES if key in keys and not names_variable(keys[key]))
    except UnclearValue:
        return False


def names_variable(value: object) -> bool:
    """Whether a value is left to a variable."""
    return isinstance(value, str) and "${" in value


def read_switch(key: str, value: object) -> bool:
    """Return whether one of `SWITCHES` says on.

    Raises:
        UnclearValue: it says neither.

    """
    try:
        return read_flag(value) is SWITCHES[key]
    except UnclearValue as error:
        raise UnclearValue(f"{key}: {error}") from None


def settle_switch(keys: dict[str, Any]) -> dict[str, Any]:
    """Settle `disabled` from a variable; what is unclear is off.

    Raises:
        UnclearValue: it is neither true nor false.

    """
    if "disabled" not in keys:
        return keys
    try:
        disabled = read_flag(keys.pop("disabled"))
    except UnclearValue as error:
        raise UnclearValue(f"disabled: {error}") from None
    return {**keys, "enabled": False} if disabled else keys


def to_text(value: object) -> str:
    """Write a scalar as other programs do, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def read_variables(env: Any, warnings: list[str]) -> Any:
    """Return environment variables as text, without nulls and comments."""
    if isinstance(env, list):
        env = _variables_from_list(env)
    if not isinstance(env, Mapping):
        return env
    for name, value in env.items():
        if isinstance(value, list | dict) and not is_comment_key(str(name)):
            warnings.append(f"env.{name} is no text; it is passed on as JSON")
    return {
        str(name): to_text(value) for name, value in env.items() if value is not None and not is_comment_key(str(name))
    }


def _variables_from_list(items: list[Any]) -> Any:
    """Read `["NAME=value"]` and `[{"name": ..., "value": ...}]`."""
    found: dict[str, Any] = {}
    for item in items:
        if isinstance(item, str) and "=" in item:
            name, _, found[name] = item.partition("=")
        elif isinstance(item, dict) and isinstance(item.get("name"), str):
            found[item["name"]] = item.get("value")
        else:
            return items
    return found


def read_arguments(arguments: Any, warnings: list[str]) -> Any:
    """Return a command's arguments as a list of text."""
    if isinstance(arguments, str):
        try:
            parts = shlex.split(arguments)
        except ValueError:
            raise UnclearValue("args: it must be a list, each argument for itself") from None
        warnings.append("its args are one text; they are taken apart at spaces")
        return parts
    if not isinstance(arguments, list):
        return arguments
    return [to_text(item) for item in arguments if item is not None]


def read_headers(headers: Any) -> dict[str, Any]:
    """Return headers by name.

    They may be an object, a list of `{"name": ..., "value": ...}`, or lines such as `Name: value`.

    Raises:
        UnclearValue: they have none of these forms.

    """
    if headers is None:
        return {}
    if isinstance(headers, str):
        headers = [line for line in headers.splitlines() if line.strip()]
    if isinstance(headers, Mapping):
        kept = {
            str(name): value for name, value in headers.items() if value is not None and not is_comment_key(str(name))
        }
        return {name: to_text(_one_of(value)) for name, value in kept.items()}
    if not isinstance(headers, list):
        raise UnclearValue(_HEADERS)
    return dict(map(_read_header, headers))


_HEADERS = 'headers: write {"Name": "value"}'


def _one_of(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _read_header(header: Any) -> tuple[str, str]:
    if isinstance(header, str):
        name, separator, value = header.partition(":")
        if separator and name.strip():
            return name.strip(), value.strip()
    if isinstance(header, Mapping):
        name = header.get("name", header.get("key"))
        if isinstance(name, str) and "value" in header:
            return name, to_text(header["value"])
        if len(header) == 1:
            return next((str(key), to_text(value)) for key, value in header.items())
    if isinstance(header, list) and len(header) == 2:  # noqa: PLR2004  # name and value
        return str(header[0]), to_text(header[1])
    raise UnclearValue(_HEADERS)


def read_duration(value: Any, unit: float) -> float:
    """Return a duration in seconds.

    A text may have a unit of its own.

    Raises:
        UnclearValue: it is no duration above zero.

    """
    if isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        number, named = float(found[1]), (found[2] or "").lower()
        seconds = number * (_UNITS["ms"] if named == "ms" else _UNITS[named[0]] if named else unit)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = value * unit
        except OverflowError:
            raise UnclearValue("it is too long") from None
    else:
        raise UnclearValue("it must be a number")
    if not 0 < seconds < float("inf"):
        raise UnclearValue("it must be more than 0")
    # Milliseconds as a float have odd last digits.
    return round(seconds, 6)
