"""`secret`: keep secrets in the system keyring by hand."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from mcp_gateway.plugin import CommandContext, ConfigError, UsageError, VariableError, call_in_time
from mcp_gateway_variables_keyring.secrets import check_keyring, list_secrets, remove_secret, write_secret

ResultT = TypeVar("ResultT")

_SECONDS = 60.0
"""How long the keyring may take: a person may have to type its password."""

_USAGE = "it is: secret set NAME, secret remove NAME, or secret list (see mcp-orchestration-gateway secret --help)"

_NAME = re.compile(r"[\w.:/@+-]{1,200}")


def run(context: CommandContext, arguments: Any) -> int:
    """Keep, remove or list secrets; return the exit code."""
    action, name = arguments.action, arguments.name
    if (name is None) != (action == "list"):
        raise UsageError(_USAGE)
    if action == "list":
        return _list(context, as_json=arguments.json)
    if not _NAME.fullmatch(name):
        raise ConfigError("a secret's name has letters, digits and . : / @ + _ - only, at most 200 of them")
    return (_set if action == "set" else _remove)(context, name, as_json=arguments.json)


def _list(context: CommandContext, *, as_json: bool) -> int:
    names = _wait(list_secrets)
    if as_json:
        context.show_json({"names": names})
    else:
        context.show(*names or ["there are no secrets of the gateway's in the system keyring"])
    return 0


def _set(context: CommandContext, name: str, *, as_json: bool) -> int:
    _wait(check_keyring)  # before a person types a secret for it
    value = _read_value(name)
    if not value:
        raise ConfigError(f"the secret {name!r} is empty, so it was not kept; type it, or give it on standard input")
    _wait(lambda: write_secret(name, value))
    if as_json:
        context.show_json({"set": name})
    else:
        context.show(f"{name} is in the system keyring; write ${{keyring:{name}}} where an entry needs it")
    return 0


def _remove(context: CommandContext, name: str, *, as_json: bool) -> int:
    was_there = _wait(lambda: remove_secret(name))
    if not was_there:
        raise ConfigError(f"the system keyring has no secret {name!r}; see: mcp-orchestration-gateway secret list")
    if as_json:
        context.show_json({"removed": name})
    else:
        context.show(f"{name} is no longer in the system keyring")
    return 0


def _read_value(name: str) -> str:
    """Read a secret from the terminal, unseen, or from a pipe.

    What a pipe brings may have several lines; only the line break at its end does not count.

    Raises:
        ConfigError: it is not UTF-8.

    """
    if sys.stdin is None:
        return ""
    try:
        value = _ask(name) if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n").removesuffix("\r")
        value.encode()  # Python hands on bytes that are no text as half characters
    except UnicodeError:
        raise ConfigError(f"the secret {name!r} is not UTF-8, so it was not kept; give it as text") from None
    return value


def _ask(name: str) -> str:
    import getpass

    try:
        return getpass.getpass(f"{name} (it is not shown): ")
    except EOFError:
        return ""


def _wait(function: Callable[[], ResultT]) -> ResultT:
    try:
        return call_in_time(_SECONDS, function)
    except TimeoutError:
        message = f"the system keyring has not answered within {_SECONDS:g} s"
        raise VariableError(f"{message}; unlock it, then try again") from None
