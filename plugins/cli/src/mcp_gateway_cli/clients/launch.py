"""The command by which programs start the gateway, and its faults."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from mcp_gateway.config.sources import SERVERS
from mcp_gateway.loops.commands import Program, find_programs
from mcp_gateway.loops.programs import find_config_argument, is_gateway_program
from mcp_gateway.plugin import ConfigError, UsageError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.entry_forms import Launch
from mcp_gateway_cli.command_line import read_command_line
from mcp_gateway_cli.parser import parse_arguments
from mcp_gateway_cli.verbs import SERVE

_SCRIPTS = ("mcp-gateway", NAME)
_CACHES = re.compile(
    r"[/\\](archive-v\d+|environments-v\d+|builds-v\d+|\.cache[/\\]pipx|pipx[/\\]\.?cache)[/\\]", re.IGNORECASE
)
"""Folders in which uvx and `pipx run` keep environments that they throw away."""
_SHELL_WORDS = frozenset({"$@", "$*", "%*"})
"""All arguments of a script, which has none here."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The environment that this process runs in.

    * `prefix`: its folder; `scripts`: where its commands are.
    * `path`: the folders that commands are looked for in.
    * `source`: where the distribution came from, if its installer wrote that down.
    """

    prefix: Path
    scripts: Path
    path: str
    source: str = ""

    @property
    def is_temporary(self) -> bool:
        """Whether it goes away by itself."""
        return _CACHES.search(f"{self.prefix}{os.sep}") is not None


def find_installation(environ: Mapping[str, str]) -> Installation:
    """Return the environment of this process."""
    return Installation(
        Path(sys.prefix), Path(sysconfig.get_path("scripts")), environ.get("PATH", os.defpath), _find_source()
    )


def find_launch(installation: Installation, environ: Mapping[str, str]) -> Launch:
    """Return a command that starts the gateway after updates, too.

    `environ` are the variables that it needs.

    Raises:
        ConfigError: this installation goes away by itself, and no other can be found.

    """
    script = next(_find_scripts(installation), None)
    if script is not None:
        return Launch(str(script), (), environ)
    if installation.is_temporary and installation.source and (uvx := shutil.which("uvx", path=installation.path)):
        return Launch(uvx, ("--from", installation.source, NAME), environ)
    where = "in a temporary environment, which goes away" if installation.is_temporary else "without its commands"
    raise ConfigError(
        f"the gateway runs {where} ({installation.prefix}), so that programs could not start it later: install it, for "
        f"example with 'uv tool install' or 'pipx install' from where you have it, and repeat this"
    )


def _find_scripts(installation: Installation) -> Iterator[Path]:
    """Yield commands that last, the best first.

    A link on the PATH to this installation survives when the environment is built anew, as pipx and uv do. In a
    temporary environment, any other installation's command counts.
    """
    for name in _SCRIPTS:
        script = _existing(installation.scripts / name)
        for folder in installation.path.split(os.pathsep):
            found = _existing(Path(folder) / name) if folder and Path(folder).is_absolute() else None
            if found is None:
                continue
            is_own = script is not None and found.resolve() == script.resolve()
            if is_own is not installation.is_temporary and not _CACHES.search(str(found.resolve())):
                yield found
        if script is not None and not installation.is_temporary:
            yield script


def _existing(path: Path) -> Path | None:
    candidates = (path, path.with_suffix(".exe")) if sys.platform == "win32" else (path,)
    return next((found for found in candidates if found.is_file()), None)


def _find_source() -> str:
    """Return where the distribution came from, for `uvx --from`."""
    try:
        written = distribution(NAME).read_text("direct_url.json")
        found = json.loads(written or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    url, version = str(found.get("url", "")), found.get("vcs_info", {})
    if version:
        revision = version.get("requested_revision")
        return f"{version.get('vcs', 'git')}+{url}{f'@{revision}' if revision else ''}"
    return url.removeprefix("file://") if sys.platform != "win32" else url


def find_own_program(keys: Mapping[str, Any]) -> Program | None:
    """Return the gateway that an entry starts, or is meant to start.

    One that is here is the gateway with a wrong word behind it, too.
    """
    programs = find_programs(_list_words(keys), _read_environ(keys)) if isinstance(keys.get("command"), str) else []
    for program in programs:
        if is_gateway_program(program):
            return program
        options = tuple(word for word in program.arguments if word.startswith("-"))
        is_sure = program.is_module or program.package or shutil.which(program.name) is not None
        if is_sure and is_gateway_program(replace(program, arguments=options)):
            return program
    return None


def describe_fault(keys: Mapping[str, Any], environ: Mapping[str, str], own_file: Path) -> str:
    """Return why an entry cannot start the gateway; empty if it can.

    `environ` is that of this process: its PATH counts where the entry has none. `own_file` is the user's file of
    servers, which may still come.
    """
    program = find_own_program(keys)
    if program is None or program.container is not None:
        return ""
    path = _read_environ(keys).get("PATH") or environ.get("PATH")
    commands = [str(keys["command"])]
    if not program.package and not program.is_module and not program.code:
        commands.append(program.name)
    missing = next(filter(None, (_describe_command(command, path) for command in commands)), "")
    named = find_named_servers(keys)
    return missing or _describe_arguments(program.arguments) or ("" if named == own_file else describe_file(named))


def find_named_servers(keys: Mapping[str, Any]) -> Path | None:
    """Return the file of servers that the gateway's own entry names.

    None if it names none, or in a way that only its program can follow.
    """
    program = find_own_program(keys)
    if program is None or program.container is not None:
        return None
    named = find_config_argument(program.arguments) or program.variables.get(SERVERS) or ""
    path = Path(_expand_home(named))
    return path if named and "$" not in named and path.is_absolute() else None


def _expand_home(path: str) -> str:
    return os.path.expanduser(path)  # noqa: PTH111  # Path's own raises where there is no home


def _list_words(keys: Mapping[str, Any]) -> list[str]:
    arguments = keys.get("args")
    return [str(word) for word in (keys["command"], *(arguments if isinstance(arguments, list) else []))]


def _read_environ(keys: Mapping[str, Any]) -> dict[str, str]:
    found = keys.get("env")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, Mapping) else {}


def _describe_command(command: str, path: str | None) -> str:
    """Describe why a command cannot be run, if so."""
    whole = _expand_home(command)
    has_folder = re.search(r"[/\\]", whole) is not None
    if "$" in whole or (has_folder and not Path(whole).is_absolute()):
        return ""
    found = shutil.which(whole, path=path)
    if found is None:
        reason = "may not be executed" if has_folder and Path(whole).exists() else "is not there"
        return f"{command} {reason}" if has_folder else f"{command} is not on its PATH"
    interpreter = _find_interpreter(Path(found))
    if interpreter is not None and not interpreter.exists():
        return f"{command} needs {interpreter}, which is not there"
    return ""


def _find_interpreter(script: Path) -> Path | None:
    """Return what a script says runs it."""
    try:
        with script.open("rb") as file:
            words = os.fsdecode(file.readline(512)).split() if file.read(2) == b"#!" else []
    except OSError:
        return None
    return Path(words[0]) if words and words[0].startswith("/") else None


def _describe_arguments(arguments: Sequence[str]) -> str:
    """Describe why a command line does not serve, if so."""
    line = read_command_line([word for word in arguments if word not in _SHELL_WORDS], [SERVE])
    if line.verb not in {"", SERVE.name}:
        return f"its arguments have {line.verb!r}, which does not serve"
    try:
        parse_arguments(SERVE, line.arguments)
    except UsageError as error:
        return f"its arguments are wrong: {str(error).rpartition(' (see ')[0]}"
    except SystemExit:  # of --help and --version
        return "its arguments only print something, and serve nothing"
    return ""


def describe_file(path: Path | None) -> str:
    """Describe why a file of servers cannot be read, if so."""
    if path is None:
        return ""
    if not path.is_file():
        return f"its file of servers, {path}, {'is no file' if path.exists() else 'is not there'}"
    return "" if os.access(path, os.R_OK) else f"its file of servers, {path}, may not be read"
