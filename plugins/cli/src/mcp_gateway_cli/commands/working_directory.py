"""What a person is told of the working directory's file, and asked.

Only at a terminal: programs, scripts and containers rely on that file, and nobody is there to answer.
"""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.entry_file import read_entry_file
from mcp_gateway.config.sources import find_user_file, open_trust_store
from mcp_gateway.config.trust import FILE_NAME, Trust
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import complain, find_asker, find_width
from mcp_gateway.plugin import Command, ConfigError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.all_commands import BUILT_IN
from mcp_gateway_cli.clients.folder_file import is_own_file, judge_file
from mcp_gateway_cli.commands.clients.prompts import Interruption, NoAnswer, confirm
from mcp_gateway_cli.commands.entries.list_servers import describe_target
from mcp_gateway_cli.secrets.masks import mask_arguments

STARTING = frozenset({"call", "describe", "doctor", "search", "serve", "tools"})
"""Built-in verbs that start servers, or connect to them."""

STARTING_BY_OPTION = {"check": "connect", "servers": "start"}
"""Those that do with an option."""

READING = frozenset({"add", "approve", "check", "disable", "enable", "list", "pins", "remove"})
"""Built-in verbs that only read or edit the file."""

ANSWER_SECONDS = 60.0
"""How long `serve` waits for the answer: a container may have a terminal, and nobody at it."""

_MOST_SHOWN = 20


def settle_folder_file(context: ControlContext, command: Command, options: Namespace) -> None:
    """Say which file is used, and ask before its servers start.

    Raises:
        ConfigError: the person does not want it, or has not answered `serve` in time.

    """
    starts = _starts_servers(command, options)
    if find_width(sys.stderr) is None or not (starts or command.name in READING):
        return
    file = _find_unnamed_file(context)
    if file is None:
        return
    user_file, trust = find_user_file(), judge_file(file)
    other = f"; to use your own: --config {shlex.quote(str(user_file))}" if user_file is not None else ""
    has_other = user_file is not None and os.path.exists(user_file)  # noqa: PTH110  # a denied one is no error here
    if starts and trust is not Trust.TRUSTED and find_asker() is not None:
        seconds = ANSWER_SECONDS if command.name == "serve" else None
        _ask(file, trust, other if has_other else "", seconds)
    elif trust is not Trust.TRUSTED or has_other:
        why = "" if trust is Trust.TRUSTED else f", which {_describe_distrust(trust)}"
        complain(f"note: this uses {file}{why}{other}")


def _starts_servers(command: Command, options: Namespace) -> bool:
    """Whether a command line starts servers of the file.

    A plugin's verb may, if it needs the SDK.
    """
    if command.name not in BUILT_IN:
        return command.needs_sdk
    if command.name == "call":
        return not options.running and options.gateway is None
    option = STARTING_BY_OPTION.get(command.name, "")
    return command.name in STARTING or bool(getattr(options, option, False))


def _find_unnamed_file(context: ControlContext) -> Path | None:
    """Return the file that the working directory alone leads to."""
    source = context.source
    if not source.is_of_folder or not source.servers_file.exists():
        return None
    file = Path.cwd().resolve() / source.servers_file
    return None if is_own_file(file) else file


def _describe_distrust(trust: Trust) -> str:
    return "has changed since you trusted it" if trust is Trust.CHANGED else "you have not trusted"


def _ask(file: Path, trust: Trust, other: str, seconds: float | None) -> None:
    """Ask whether the servers of a file may be started.

    Raises:
        ConfigError: they may not.

    """
    contents: list[bytes] = []
    try:
        entries = read_entry_file(file, contents.append).entries
    except ConfigError:  # the command says what is wrong with it, and starts nothing
        return
    lines = [line for entry in entries if entry.keys.get("enabled") is not False for line in _describe(entry.keys)]
    if not lines:
        return
    complain(f"{file}, which {_describe_distrust(trust)}, would start these commands:", *_limit(lines))
    if not _is_wanted(file, seconds):
        raise ConfigError(f"nothing was started{other}")
    try:
        open_trust_store().add(file, contents[0])
    except ConfigError as error:
        complain(f"note: you will be asked again: {error}")
        return
    is_usual = file == Path.cwd().resolve() / FILE_NAME
    others, named = (", and gateways that programs start here read it, too", "") if is_usual else ("", f" {file}")
    complain(f"it is trusted as it is now{others}; to take that back: {NAME} trust --remove{named}")


def _is_wanted(file: Path, seconds: float | None) -> bool:
    try:
        return confirm("go on, and trust this file as it is now?", default=False, seconds=seconds)
    except TimeoutError:
        complain("")
        raise ConfigError(
            f"nobody has answered within {seconds:g} s, so nothing was started; where nobody is at the terminal, "
            f"name the file of servers: SERVER_CONFIG_PATH={shlex.quote(str(file))}"
        ) from None
    except Interruption:
        complain("", "nothing was started")
        raise KeyboardInterrupt from None
    except NoAnswer:
        complain("")
        return False


def _limit(lines: Sequence[str]) -> Iterable[str]:
    rest = len(lines) - _MOST_SHOWN
    return [*lines[:_MOST_SHOWN], *([f"  and {rest} more: look at the file"] if rest > 0 else [])]


def _describe(keys: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an entry starts and connects to.

    An entry may have both; which of them is used, its other keys may decide by variables.
    """
    name = keys.get("name")
    command, more = keys.get("command", keys.get("cmd")), keys.get("args")
    if command:
        words = [*(command if isinstance(command, list) else [command]), *(more if isinstance(more, list) else [])]
        variables = keys.get("env")
        sets = f" (env: {', '.join(variables)})" if isinstance(variables, dict) and variables else ""
        yield f"  {name}: {shlex.join(map(str, mask_arguments(words)))}{sets}"
    if keys.get("url") or not command:
        target = describe_target({key: value for key, value in keys.items() if key not in {"command", "cmd", "args"}})
        yield f"  {name}: connects to {target['target'] or 'transport ' + str(keys.get('transport'))}"
