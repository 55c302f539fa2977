"""A new entry, from the words of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcp_gateway.plugin import UsageError
from mcp_gateway.protocol.tool_names import is_server_name
from mcp_gateway_cli.entries.target import describe_mistake, is_url, settle_url

Json = dict[str, Any]

TRANSPORTS = ("stdio", "http", "sse")


def make_entry(
    name: str,
    words: Sequence[str],
    transport: str | None = None,
    *,
    env: Sequence[str] = (),
    headers: Sequence[str] = (),
    auth_type: str | None = None,
) -> Json:
    """Return the entry in the gateway's own form, without the name.

    Raises:
        UsageError: the words make no entry; the message says what is missing.

    """
    if not is_server_name(name):
        raise UsageError(
            f"{name!r} cannot be a server's name: letters, digits, '.', '-' and single '_', such as my-server"
        )
    if not words:
        raise UsageError(f"add {name}: what is it? add {name} -- COMMAND ARGUMENTS, or add {name} URL")
    target, *arguments = words
    by_url = is_url(target)
    if not arguments and transport != "stdio" and (mistake := describe_mistake(target)):
        raise UsageError(f"add {name}: {mistake}")
    if (transport == "stdio" and by_url) or (transport in ("http", "sse") and not by_url):
        raise UsageError(f"add {name}: {target!r} is {'a URL' if by_url else 'no URL'}, so not --transport {transport}")
    if by_url:
        found = _make_url_entry(name, target, arguments, transport=transport, env=env, headers=headers)
        return found if auth_type is None else {**found, "auth_type": _check_auth_type(name, auth_type, headers)}
    if headers or auth_type is not None:
        raise UsageError(
            f"add {name}: a process gets no headers and no login; -e KEY=VALUE sets a variable of its environment"
        )
    entry: Json = {"command": target}
    if arguments:
        entry["args"] = arguments
    if env:
        entry["env"] = dict(_split(name, pair, "=", "-e KEY=VALUE") for pair in env)
    return entry


def _make_url_entry(
    name: str, url: str, more: Sequence[str], *, transport: str | None, env: Sequence[str], headers: Sequence[str]
) -> Json:
    if more:
        raise UsageError(f"add {name}: nothing follows a URL, but there is {more[0]!r}")
    if env:
        raise UsageError(f"add {name}: a URL gets no environment; -H 'Name: value' sends a header")
    entry: Json = {"url": settle_url(url), "transport": transport or "http"}
    if headers:
        entry["auth_type"] = "static"
        entry["auth_headers"] = dict(_split(name, header, ":", "-H 'Name: value'") for header in headers)
    return entry


def _check_auth_type(name: str, auth_type: str, headers: Sequence[str]) -> str:
    if headers and auth_type != "static":
        raise UsageError(f"add {name}: -H sends headers that stay the same, so not --auth-type {auth_type}")
    return auth_type


def _split(name: str, pair: str, separator: str, form: str) -> tuple[str, str]:
    key, found, value = pair.partition(separator)
    if not found or not key.strip():
        raise UsageError(f"add {name}: {key.strip()!r} is not of the form {form}")
    return key.strip(), value.strip() if separator == ":" else value


def to_client_form(entry: Json) -> Json:
    """Return an entry in the form that most programs share."""
    if "command" in entry:
        return dict(entry)
    headers = {"headers": entry["auth_headers"]} if "auth_headers" in entry else {}
    login = {"auth": "oauth"} if entry.get("auth_type") == "oauth" else {}
    return {"type": entry["transport"], "url": entry["url"], **headers, **login}
