"""Formats of the server file: native and those of clients.

The clients are Claude Desktop, Cursor and VS Code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.tool_names import sanitize_server_name, sanitize_server_names
from mcp_gateway.text.suggestions import suggest_word

_TRANSPORTS = {
    "stdio": "stdio",
    "local": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamablehttp": "http",
    "streamable_http": "http",
    "remote": "http",
}
_CLIENT_URL_KEYS = ("url", "serverUrl", "httpUrl")
_WAYS = ("command", "url")
_PLACES = ("servers", "mcpServers")
_FORMS = 'write {"servers": [...]} or {"mcpServers": {...}}'
# Some clients give timeouts in milliseconds: numbers from here on are taken as such.
_MILLISECONDS = 1000
MAX_SECONDS = 10**9
"""The upper bound of durations in a configuration."""

_PLACE = re.compile(r"<string>:(?P<line>\d+) (?P<said>.*) at column (?P<column>\d+)", re.DOTALL)
"""The form of json5's error messages."""

_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|(?P<string>"(?:[^"\\\n]|\\.)*")', re.DOTALL)
_WRONG_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*(\\(?:u(?![0-9a-fA-F]{4})|[^\W_bfnrtu]))")
"""An invalid escape: json5 would silently read `C:\\Users` with a single backslash as `C:Users`."""

CheckFn = Callable[[bytes], None]
"""Raises `ConfigError` if the content of the file must not be used."""


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One server entry in native keys, not yet validated.

    In a client's format (`foreign`) unknown keys belong to the client and cause only a warning. `unclear` is the
    reason for which the transport cannot be determined.
    """

    where: str
    keys: Mapping[str, Any]
    foreign: bool
    warnings: tuple[str, ...] = field(default=())
    unclear: str = ""


def read_entries(path: Path, check: CheckFn | None = None) -> list[RawEntry]:
    """Read the file of servers in any of its formats.

    `check` gets exactly the bytes that are used, and may reject them.

    Raises:
        ConfigError: the file cannot be read, is not JSON, or has none of the formats.

    """
    document = _parse_file(path, check)
    if not isinstance(document, dict):
        raise ConfigError(f'{path}: it must hold a JSON object, such as {{"servers": []}}')
    native = document.get("servers")
    foreign = [document[key] for key in _PLACES if isinstance(document.get(key), dict)]
    if not isinstance(native, list) and not foreign:
        raise ConfigError(f"{path}: it has no servers: {_FORMS}{_describe_near_miss(document)}")
    entries: list[RawEntry] = []
    if isinstance(native, list):
        _reject_unknown_keys(path, document)
        entries += [_native(path, number, item) for number, item in enumerate(native)]
    # Clients allow any text as a server's name; here it becomes part of tool names.
    names = sanitize_server_names([name for mapping in foreign for name in mapping])
    for mapping in foreign:
        entries += [_foreign(path, name, item, names[name]) for name, item in mapping.items()]
    return entries


def _describe_near_miss(document: Mapping[str, Any]) -> str:
    """Describe the key that looks like a misplaced or misspelled `servers`."""
    for key in document:
        if key in _PLACES:
            return f"; what {key!r} holds is neither"
        if near := suggest_word(key, _PLACES):
            return f"; nobody reads the key {key!r}{near}"
    return ""


def _parse_file(path: Path, check: CheckFn | None) -> Any:
    try:
        content = path.read_bytes()
        if check is not None:
            check(content)
        # Editors on Windows begin files with a byte order mark.
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; write it, or set SERVER_CONFIG_PATH to the file of servers"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: it cannot be read: it is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        reason = "it is a folder; name the file in it" if path.is_dir() else error.strerror
        raise ConfigError(f"{path}: it cannot be read: {reason}") from None
    if not text.strip():
        raise ConfigError(f"{path}: it is empty; {_FORMS}")
    try:
        return _json(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: it is nested too deeply") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        return _with_comments(text, f"line {error.lineno}, column {error.colno}: {error.msg}")


def _with_comments(text: str, problem: str) -> Any:
    """Read JSON as editors write it, with comments and trailing commas.

    `problem` is the error of the plain JSON parser. It may be about a comment, so json5's position is the better one.
    """
    # Imported here because it is slow to import, and most files are plain JSON.
    import json5

    for token in _TOKEN.finditer(text):
        if wrong := _WRONG_ESCAPE.search(token["string"] or ""):
            line = text.count("\n", 0, token.start()) + 1
            raise ConfigError(f"line {line}: {wrong[1]} is no escape; write a backslash twice")
    try:
        return json5.loads(text, object_pairs_hook=_no_duplicates)
    except ValueError as error:
        if found := _PLACE.fullmatch(str(error)):
            problem = f"line {found['line']}, column {found['column']}: {' '.join(found['said'].split())}"
        raise ConfigError(f"{problem} (the file is not JSON)") from None


def _no_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ConfigError(f"the key {key!r} stands twice in one object; remove or rename one")
        seen[key] = value
    return seen


def _reject_unknown_keys(path: Path, document: Mapping[str, Any]) -> None:
    known = ("version", "servers", "mcpServers", "$schema")
    for key in document:
        if key not in known:
            raise ConfigError(f"{path}: nobody reads the key {key!r}{suggest_word(key, known)}")


def _native(path: Path, number: int, item: Any) -> RawEntry:
    if not isinstance(item, dict):
        raise ConfigError(f"{path}: servers.{number}: it must be an object")
    name = item.get("name")
    where = f"{path}: server {name!r}" if isinstance(name, str) else f"{path}: servers.{number}"
    keys = _without_nulls(item)
    unclear = _transport_problem(keys)
    return RawEntry(where, _with_transport(keys), foreign=False, unclear=unclear)


def _foreign(path: Path, name: str, item: Any, valid_name: str) -> RawEntry:
    if not isinstance(item, dict):
        raise ConfigError(f"{path}: server {name!r}: it must be an object")
    keys = _without_nulls(item)
    keys["name"] = valid_name
    warnings = [] if valid_name == name else [f"it is called {valid_name!r} here"]
    if not name.isascii() or valid_name != sanitize_server_name(name):
        keys.setdefault("description", name)  # so that a model knows it by more than a hash
    for spelling in _CLIENT_URL_KEYS:
        if spelling in keys:
            keys["url"] = keys.pop(spelling)
    if isinstance(keys.get("headers"), dict):
        keys.setdefault("auth_headers", keys.pop("headers"))
        if keys["auth_headers"]:
            keys.setdefault("auth_type", "static")
        else:
            del keys["auth_headers"]
    if isinstance(keys.get("disabled"), bool):
        keys.setdefault("enabled", not keys.pop("disabled"))
    if isinstance(keys.get("timeout"), int | float) and _MILLISECONDS <= keys["timeout"] <= _MILLISECONDS * MAX_SECONDS:
        keys["timeout"] /= _MILLISECONDS
        warnings.append(f"its timeout is taken as milliseconds: {keys['timeout']:g} s")
    where, unclear = f"{path}: server {name!r}", _transport_problem(keys)
    return RawEntry(where, _with_transport(keys), foreign=True, warnings=tuple(warnings), unclear=unclear)


def _without_nulls(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None or key == "namespace"}


def _transport_problem(keys: Mapping[str, Any]) -> str:
    """Explain why an entry's transport is ambiguous or missing.

    The text is empty if the transport is clear.
    """
    ways = [key for key in (*_WAYS, "transport", "type") if key in keys]
    if ways == [*_WAYS]:
        return 'it has both "command" and "url"; remove one of them'
    if ways:
        return ""
    near = [f"; nobody reads the key {key!r}{meant}" for key in keys if (meant := suggest_word(key, _WAYS))]
    return f'it needs "command", the program to start (stdio), or "url", where it is (HTTP){"".join(near)}'


def _with_transport(keys: dict[str, Any]) -> dict[str, Any]:
    """Normalize `transport`, or infer it from `command` or `url`.

    Every common spelling of `transport` and `type` is accepted.
    """
    transport = keys.pop("type", None) if "transport" not in keys else keys.get("transport")
    keys.pop("type", None)
    if isinstance(transport, str):
        keys["transport"] = _TRANSPORTS.get(transport.lower(), transport)
    elif transport is not None:
        keys["transport"] = transport
    else:
        keys["transport"] = "stdio" if "command" in keys else "http"
    return keys
