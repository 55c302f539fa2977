"""Command resolution: a child's program, directory and environment.

A child gets only a part of the gateway's environment, which may have secrets.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from mcp_gateway.plugin import CHAIN_VARIABLE, ServerUnavailable
from mcp_gateway_transport_stdio.login_shell import read_login_path
from mcp_gateway_transport_stdio.options import StdioOptions

_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_FIRST_LINE = 256

_HARMLESS = (
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    CHAIN_VARIABLE,
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
)
"""Variables that a child inherits in addition to the SDK's own list (PATH, HOME and the like)."""


def child_environment(options: StdioOptions) -> dict[str, str]:
    """Return the child's environment."""
    from mcp.client.stdio import get_default_environment  # the MCP SDK is slow to import

    harmless = {name: os.environ[name] for name in _HARMLESS if name in os.environ}
    environment = {**get_default_environment(), **harmless, **options.env}
    # A program that only the login shell finds is one that needs the shell's PATH: npx needs node.
    if needs_login_path(options) and (path := find_login_path()):
        environment["PATH"] = os.pathsep.join([environment.get("PATH", os.defpath), path])
    return environment


def needs_login_path(options: StdioOptions) -> bool:
    """Whether only the login shell's PATH may lead to a program."""
    is_bare = Path(options.program).name == options.program
    return is_bare and "PATH" not in options.env and _find_nearby(options) is None


def find_login_path() -> str:
    """Return the whole folders on the PATH of the user's login shell."""
    return _drop_relative_folders(read_login_path())


def resolve_command(options: StdioOptions) -> str:
    """Find the program, but never in the working directory.

    It is searched on the child's PATH, in the folder of the Python that runs the gateway, and on the PATH of the user's
    login shell. The second finds servers in the gateway's own virtual environment, which a desktop client does not
    activate.

    Raises:
        ServerUnavailable: the program was not found.

    """
    program = options.program
    found = _find_nearby(options)
    if found is None and needs_login_path(options):
        found = find_program(program, find_login_path())
    if found is None:
        raise ServerUnavailable(
            f"its command {program!r} {_explain_missing(program, get_search_path(options))}", permanent=True
        )
    return found


def _find_nearby(options: StdioOptions) -> str | None:
    return find_program(options.program, get_search_path(options)) or find_program(
        options.program, str(Path(sys.executable).parent)
    )


def get_search_path(options: StdioOptions) -> str:
    """Return the PATH on which a program is searched first."""
    # A PATH in the configuration was chosen by the user, so it may be relative.
    return options.env.get("PATH") or _drop_relative_folders(os.environ.get("PATH", os.defpath))


def _explain_missing(program: str, path: str) -> str:
    """Say why a program is not found, and the remedy."""
    folders = [""] if Path(program).name != program else path.split(os.pathsep)
    places = [Path(folder) / program for folder in folders]
    if file := next((place for place in places if place.is_file()), None):
        return f"is not executable; run 'chmod +x {file}', or set command to its interpreter and put its path into args"
    if any(place.is_dir() for place in places[:1] if len(folders) == 1):
        return "is a folder; write the path of a program"
    if _WINDOWS_PATH.match(program) and os.name == "posix":
        return "is a path of Windows, and this is another system; write the path that the program has here"
    advice = "put what comes after its name into args, or" if " " in program else "install it, or"
    return f"is not found; {advice} write its full path into the configuration"


def explain_failed_start(program: str, path: str, error: OSError) -> str:
    """Say why the system did not start a program that was found."""
    reason = f"{error.strerror}"
    if error.filename is not None:
        reason = f"its cwd: {reason}"
    elif error.errno == errno.ENOEXEC:
        reason = "it is no program of this system, and no script whose first line says how to run it (#!/bin/sh)"
    elif error.errno == errno.ENOENT and (interpreter := read_interpreter(path)):
        reason = f"its first line says to run it with {interpreter!r}, which is not found"
    elif error.errno == errno.E2BIG:
        reason = "its args and env are too long for this system"
    return f"{program!r} cannot be started: {reason}"


def read_interpreter(path: str) -> str:
    """Return the interpreter that a script names."""
    with suppress(OSError), Path(path).open("rb") as file:
        first = file.read(_FIRST_LINE).split(b"\n")[0]
        if first.startswith(b"#!"):
            return first[2:].decode("utf-8", "replace").strip()
    return ""


def _drop_relative_folders(path: str) -> str:
    """Remove relative folders from a PATH.

    They refer to the working directory, whose content a stranger may have chosen.
    """
    return os.pathsep.join(folder for folder in path.split(os.pathsep) if Path(folder).is_absolute())


def find_program(program: str, path: str) -> str | None:
    """Return the path of a program on PATH only.

    It exists because Windows searches the working directory first, whatever PATH is.
    """
    found = shutil.which(program, path=path)
    is_bare = Path(program).name == program
    return None if found is None or (is_bare and os.name == "nt" and not Path(found).is_absolute()) else found


def resolve_directory(options: StdioOptions) -> Path | None:
    """Return the working directory of the child, or None.

    Raises:
        ServerUnavailable: the path is not a directory.

    """
    if options.cwd is not None and not options.cwd.is_dir():
        raise ServerUnavailable("its cwd is not a directory", permanent=True)
    return options.cwd


def find_obstacle(options: StdioOptions) -> str | None:
    """Return the reason why the server cannot start, or None.

    It is found without starting the server.
    """
    try:
        resolve_command(options)
        resolve_directory(options)
    except ServerUnavailable as error:
        return str(error)
    return None
