"""Entries of servers, translated into our own keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.config.forms.keys import (
    COMMON_TIMEOUTS,
    IGNORED,
    MAX_SECONDS_IN_DOUBT,
    MILLISECONDS,
    RENAMES,
    SECONDS,
    UNKEPT,
    list_ignored,
)
from mcp_gateway.config.forms.programs import Program
from mcp_gateway.config.forms.recognition import describe_nameless, is_comment_key, name_place
from mcp_gateway.config.forms.tool_lists import UnclearList, describe_foreign_list, policy_of_entry
from mcp_gateway.config.forms.transports import (
    find_transport_problem,
    settle_contradiction,
    settle_extension,
    settle_socket,
    with_transport,
)
from mcp_gateway.config.forms.values import (
    SWITCHES,
    UnclearValue,
    names_variable,
    read_arguments,
    read_duration,
    read_headers,
    read_switch,
    read_variables,
)
from mcp_gateway.config.tool_policy import ToolPolicy
from mcp_gateway.protocol.tool_names import sanitize_server_name

_OBJECT = 'it must be an object, such as {"command": "uvx", "args": ["mcp-server-time"]}'
_HEADER_KEYS = ("headers", "http_headers", "custom_headers", "customHeaders")
_HEADER_HOLDERS = ("requestInit", "requestOptions", "request_options")


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One server entry in native keys, not yet validated.

    In another program's form (`foreign`) unknown keys belong to that program and cause only a warning. `unclear` is the
    reason for which it cannot be used. `policy` is what its lists of tools come to. `title` is its name in that
    program, `place` the keys that lead to the servers there, and `key` its own: None if the document is the entry.
    `ignored` are keys that say something to that program alone.
    """

    where: str
    keys: Mapping[str, Any]
    foreign: bool
    warnings: tuple[str, ...] = field(default=())
    unclear: str = ""
    policy: ToolPolicy = field(default_factory=ToolPolicy)
    title: str = ""
    place: tuple[str, ...] = ()
    key: str | int | None = None
    ignored: tuple[str, ...] = ()


def native_entry(path: str, number: int, item: Any) -> RawEntry:
    """Return an entry of our own form.

    One without a name is called by its place.
    """
    place = name_place(number)
    if not isinstance(item, dict):
        return RawEntry(f"{path}: {place}", {"name": place}, foreign=False, unclear=_OBJECT)
    name = item.get("name")
    where = f"{path}: server {name!r}" if isinstance(name, str) else f"{path}: {place}"
    keys = _without_comments(item)
    warnings: list[str] = []
    try:
        _settle_process(keys, warnings)
        unclear = describe_nameless(keys, number) or find_transport_problem(keys) or describe_foreign_list(keys)
    except UnclearValue as error:
        unclear = str(error)
    return RawEntry(where, with_transport(keys), foreign=False, warnings=tuple(warnings), unclear=unclear)


def foreign_entry(path: str, program: Program, names: tuple[str, str], item: Any, policy: ToolPolicy) -> RawEntry:
    """Return an entry of another program's form.

    `names` are the one that it has there and the one that it has here; `policy` is what the document says of its tools
    elsewhere.
    """
    name, plain = names
    where = f"{path}: server {name!r}"
    if not isinstance(item, dict):
        return RawEntry(where, {"name": plain}, foreign=True, unclear=_OBJECT)
    warnings = [] if plain == name else [f"it is called {plain!r} here"]
    keys = {**_flatten(_without_comments(item)), "name": plain}
    ignored = list_ignored(keys)
    unclear = ""
    if not name.isascii() or plain != sanitize_server_name(name):
        keys.setdefault("description", name)  # so that a model knows it by more than a hash
    try:
        keys = _rewrite_variables(program, keys)
        policy = policy.within(policy_of_entry(program, keys))
        for settle in _STEPS:
            settle(program, keys, warnings)
        unclear = find_transport_problem(keys) or settle_contradiction(keys, warnings)
    except (UnclearList, UnclearValue) as error:
        unclear = str(error)
    return RawEntry(
        where,
        with_transport(keys),
        foreign=True,
        warnings=tuple(warnings),
        unclear=unclear,
        policy=policy,
        ignored=ignored,
    )


def _without_comments(item: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out comments, and null, which is as good as nothing."""
    return {
        key: value
        for key, value in item.items()
        if (value is not None or key == "namespace") and not is_comment_key(str(key))
    }


def _flatten(keys: dict[str, Any]) -> dict[str, Any]:
    """Unwrap the keys of a server that stand in objects."""
    for holder in ("config", "transport", "server", "mcp"):
        inner = keys.get(holder)
        if isinstance(inner, dict) and ({"command", "cmd", "url", "uri", "type"} & inner.keys()):
            del keys[holder]
            keys = {**_without_comments(inner), **keys}
    command = keys.get("command")
    # Zed's older form.
    if isinstance(command, dict):
        keys = {**keys, **{name: command[name] for name in ("args", "env") if name in command}}
        keys["command"] = command.get("path", command.get("command", ""))
    return keys


def _rewrite_variables(program: Program, keys: dict[str, Any]) -> dict[str, Any]:
    def rewrite(value: Any) -> Any:
        if isinstance(value, str):
            for pattern, replacement in program.variables:
                value = re.sub(pattern, replacement, value)
            return value
        if isinstance(value, list):
            return [rewrite(item) for item in value]
        return {key: rewrite(item) for key, item in value.items()} if isinstance(value, dict) else value

    return {key: rewrite(value) for key, value in keys.items()} if program.variables else keys


# -- steps: each settles some keys


def _settle_names(program: Program, keys: dict[str, Any], warnings: list[str]) -> None:
    if program.name == "Zed":
        settle_extension(keys)
    for theirs, ours in RENAMES.items():
        if theirs in keys:
            keys.setdefault(ours, keys.pop(theirs))
            keys.pop(theirs, None)
    for key, warning in UNKEPT.items():
        if keys.get(key) not in (None, False):
            warnings.append(warning)
        keys.pop(key, None)
    for key in IGNORED & keys.keys():
        del keys[key]
    settle_socket(keys)


def _settle_process(keys: dict[str, Any], warnings: list[str]) -> None:
    """Settle the command, its arguments and variables; in our own form, too."""
    command = keys.get("command")
    if isinstance(command, list) and command:
        arguments = keys.get("args", [])
        keys["command"], keys["args"] = command[0], [*command[1:], *(arguments if isinstance(arguments, list) else [])]
    if "args" in keys:
        keys["args"] = read_arguments(keys["args"], warnings)
    if "env" in keys:
        keys["env"] = read_variables(keys["env"], warnings)


def _settle_foreign_process(_: Program, keys: dict[str, Any], warnings: list[str]) -> None:
    _settle_process(keys, warnings)
    listed = keys.pop("env_keys", None)
    if isinstance(listed, list) and listed:
        env = keys.get("env")
        keys["env"] = {**{str(name): f"${{{name}}}" for name in listed}, **(env if isinstance(env, dict) else {})}


def _settle_headers(_: Program, keys: dict[str, Any], __: list[str]) -> None:
    headers: dict[str, Any] = {}
    for holder in _HEADER_HOLDERS:
        if isinstance(keys.get(holder), dict):
            headers |= read_headers(keys.pop(holder).get("headers"))
    for key in _HEADER_KEYS:
        headers |= read_headers(keys.pop(key, None))
    if isinstance(variable := keys.pop("bearer_token_env_var", None), str):
        headers["Authorization"] = f"Bearer ${{{variable}}}"
    if isinstance(token := keys.pop("authorization_token", None), str):
        headers["Authorization"] = f"Bearer {token}"
    _settle_login(keys, headers)
    if headers:
        keys.setdefault("auth_headers", headers)
        keys.setdefault("auth_type", "static")


def _settle_login(keys: dict[str, Any], headers: dict[str, Any]) -> None:
    """Settle what programs say of OAuth, or of a token."""
    auth = keys.pop("auth", None)
    login = keys.pop("oauth", None)
    if isinstance(auth, str) and auth and auth.lower() not in {"oauth", "none"}:
        headers.setdefault("Authorization", f"Bearer {auth}")
    login = auth if isinstance(auth, dict) else login
    given = {
        str(key).lower().replace("_", ""): value for key, value in (login.items() if isinstance(login, dict) else ())
    }
    client = given.get("clientid")
    if client:
        keys.setdefault("auth_type", "oauth")
        keys.setdefault("client_id", client)
        for theirs, ours in (
            ("clientsecret", "client_secret"),
            ("scopes", "scopes"),
            ("callbackport", "callback_port"),
        ):
            if given.get(theirs):
                keys.setdefault(ours, given[theirs])
    elif isinstance(auth, str) and auth.lower() == "oauth":
        keys.setdefault("auth_type", "oauth")


def _settle_switches(_: Program, keys: dict[str, Any], __: list[str]) -> None:
    """Settle whether the server is used; what is unclear is off."""
    found: list[bool] = []
    for key, meaning in SWITCHES.items():
        if key not in keys:
            continue
        value = keys.pop(key)
        if names_variable(value):
            keys["enabled" if meaning else "disabled"] = value
        else:
            found.append(read_switch(key, value))
    if found:
        keys["enabled"] = all(found)


def _settle_timeouts(program: Program, keys: dict[str, Any], warnings: list[str]) -> None:
    known = {**COMMON_TIMEOUTS, **program.timeouts}
    timeout = keys.get("timeout")
    if isinstance(timeout, dict):
        keys |= {key: value for key, value in keys.pop("timeout").items() if key in known and key != "timeout"}
    for key in [key for key in keys if key in known or key == "timeout"]:
        value = keys.pop(key)
        ours, unit = known.get(key) or ("timeout", _guess_unit(value, warnings))
        try:
            seconds = read_duration(value, unit)
        except UnclearValue as error:
            warnings.append(f"its {key} is left out: {error}")
            continue
        # Claude Code does not read what is shorter than a second.
        if program.name == "Claude Code" and seconds < 1:
            warnings.append(f"its {key} is left out: what is shorter than a second does not count")
            continue
        keys.setdefault(ours, seconds)


def _guess_unit(value: Any, warnings: list[str]) -> float:
    """Return the unit of a `timeout` in an unknown program's file."""
    if not isinstance(value, int | float) or value <= MAX_SECONDS_IN_DOUBT:
        return SECONDS
    try:
        warnings.append(f"its timeout is taken as milliseconds: {value * MILLISECONDS:g} s")
    except OverflowError:
        return SECONDS
    return MILLISECONDS


_STEPS: tuple[Callable[[Program, dict[str, Any], list[str]], None], ...] = (
    _settle_switches,
    _settle_names,
    _settle_foreign_process,
    _settle_headers,
    _settle_timeouts,
)
