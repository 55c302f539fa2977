"""All commands: those of this distribution, of the core and of plugins."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mcp_gateway.config.settings import plugin_choice
from mcp_gateway.control.commands import CORE_COMMANDS, Commands, collect_commands
from mcp_gateway.control.report import complain_error
from mcp_gateway.plugin import GatewayError, UsageError
from mcp_gateway.plugin_host.loader import load_plugins
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.parser import suggest
from mcp_gateway_cli.verbs import VERBS

BUILT_IN = {command.name: command for command in (*VERBS, *CORE_COMMANDS)}
"""The commands that need no plugin."""

_OF_PLUGINS = {
    **dict.fromkeys(("login", "logout"), "the plugin mcp-gateway-auth-oauth"),
    "secret": "the plugin mcp-gateway-variables-keyring",
}
"""Verbs that people may know, and which plugin of this project brings them."""

OTHER_WORDS = {
    **dict.fromkeys(("ls", "show-servers"), "list"),
    **dict.fromkeys(("rm", "uninstall", "delete", "del", "unregister"), "remove"),
    **dict.fromkeys(("install", "register", "new"), "add"),
    **dict.fromkeys(("start", "run"), "serve"),
    **dict.fromkeys(("ps", "top"), "status"),
    **dict.fromkeys(("find", "grep"), "search"),
    **dict.fromkeys(("info", "show", "inspect"), "describe"),
    **dict.fromkeys(("exec", "invoke"), "call"),
    **dict.fromkeys(("validate", "lint", "verify"), "check"),
    **dict.fromkeys(("diagnose", "debug"), "doctor"),
    **dict.fromkeys(("setup", "onboard"), "init"),
    **dict.fromkeys(("revert", "rollback"), "undo"),
    **dict.fromkeys(("auth", "signin"), "login"),
}
"""What other programs call these verbs."""


def collect_all_commands() -> Commands:
    """Return the commands of all plugins, which are loaded for it.

    Those that cannot be used are named on standard error.
    """
    try:
        found = collect_commands(load_plugins(plugin_choice(os.environ)), VERBS)
    except GatewayError:  # the command that runs says it
        return Commands(BUILT_IN)
    for fault in found.faults:
        complain_error(str(fault))
    return found


def explain_unknown(verb: str, known: Iterable[str]) -> UsageError:
    """Return the error of an unknown verb, with what was meant."""
    if owner := _OF_PLUGINS.get(verb):
        hint = f"; {owner} brings it, which is not here"
    elif (meant := OTHER_WORDS.get(verb.lower())) and meant in {*known}:
        hint = f"; did you mean {meant!r}?"
    else:
        hint = suggest(verb, known)
    return UsageError(f"there is no command {verb!r}{hint} (see {NAME} --help)")
