"""Diagnosis of commands that cannot be started, here or elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mcp_gateway.plugin import Diagnosis, ServerUnavailable
from mcp_gateway_transport_stdio.child.command import (
    child_environment,
    find_login_path,
    find_program,
    get_search_path,
    needs_login_path,
    read_interpreter,
    resolve_command,
    resolve_directory,
)
from mcp_gateway_transport_stdio.login_shell import read_login_path
from mcp_gateway_transport_stdio.options import StdioOptions

_NODE = "install Node.js: https://nodejs.org, or your system's packages (brew install node, apt install nodejs npm)"
_UV = "install uv: https://docs.astral.sh/uv, or your system's packages (brew install uv, pipx install uv)"
RUNTIMES = {
    **dict.fromkeys(("node", "npm", "npx"), _NODE),
    **dict.fromkeys(("uv", "uvx"), _UV),
    "docker": "install Docker: https://docs.docker.com/get-docker, or Podman, and write podman as the command",
    "podman": "install Podman: https://podman.io/docs/installation",
    **dict.fromkeys(("bun", "bunx"), "install Bun: https://bun.sh"),
    "deno": "install Deno: https://deno.com",
    "pipx": "install pipx: https://pipx.pypa.io",
    **dict.fromkeys(("python", "python3"), "install Python: https://www.python.org, or your system's packages"),
}
"""The programs that start other people's servers, and how to get them."""

_WINDOWED_PATH = "/usr/bin:/bin:/usr/sbin:/sbin" + ("" if sys.platform == "darwin" else ":/usr/local/bin")
"""The PATH with which programs with windows start the gateway on most systems."""


def find_diagnoses(options: StdioOptions) -> list[Diagnosis]:
    """Return why a command cannot be started, or could not be elsewhere.

    Nothing is started, but the login shell may be asked for its PATH.
    """
    try:
        path = resolve_command(options)
    except ServerUnavailable as error:
        return [_describe_missing(options, str(error))]
    return [*_check_directory(options), *_check_interpreter(options, path), *_check_elsewhere(options, path)]


def _describe_missing(options: StdioOptions, error: str) -> Diagnosis:
    message, _, mend = error.partition("; ")
    if not message.endswith("is not found") or Path(options.program).name != options.program:
        return Diagnosis(code="command-unusable", message=message, mend=mend)
    code = "runtime-missing" if options.program in RUNTIMES else "command-not-found"
    return Diagnosis(
        code=code,
        message=f"{message}; searched: {_describe_places(options)}",
        mend=RUNTIMES.get(options.program, mend),
    )


def _describe_places(options: StdioOptions) -> str:
    first = get_search_path(options)
    places = [f"PATH={first}", f"the folder of the gateway's Python, {Path(sys.executable).parent}"]
    login = find_login_path().split(os.pathsep) if needs_login_path(options) else []
    if more := [folder for folder in login if folder and folder not in first.split(os.pathsep)]:
        places.append(f"of the PATH of your login shell also {os.pathsep.join(more)}")
    return "; ".join(places)


def _check_directory(options: StdioOptions) -> Iterator[Diagnosis]:
    try:
        resolve_directory(options)
    except ServerUnavailable as error:
        yield Diagnosis(code="folder-missing", message=str(error), mend="make the folder, or correct cwd")


def _check_interpreter(options: StdioOptions, path: str) -> Iterator[Diagnosis]:
    """Yield the interpreter of a script, if it is missing."""
    words = read_interpreter(path).split()
    if not words:
        return
    is_env = Path(words[0]).name == "env"
    names = [word for word in words[1:] if not word.startswith("-") and "=" not in word] if is_env else words
    if not names or find_program(names[0], child_environment(options).get("PATH", os.defpath)):
        return
    name = Path(names[0]).name
    yield Diagnosis(
        code="runtime-missing",
        message=f"its command {options.program!r} is a script for {name}, which is not found",
        mend=RUNTIMES.get(name, f"install {name}"),
    )


def _check_elsewhere(options: StdioOptions, path: str) -> Iterator[Diagnosis]:
    """Yield a warning if only this terminal's PATH leads to the program."""
    program = options.program
    if os.name != "posix" or Path(program).name != program or "PATH" in options.env:
        return
    if any(find_program(program, place) for place in (str(Path(sys.executable).parent), _WINDOWED_PATH)):
        return
    if find_program(program, read_login_path(_WINDOWED_PATH)):
        return
    yield Diagnosis(
        code="command-only-here",
        message=(
            f"its command {program!r} is found on the PATH of this terminal only, in {Path(path).parent}: a program "
            f"with windows starts the gateway with a poorer one (such as {_WINDOWED_PATH}), and your login shell does "
            "not have that folder, either"
        ),
        mend=f'write its full path into the configuration: "command": "{path}"',
        is_error=False,
    )
