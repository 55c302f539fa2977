"""The PATH of the user's login shell.

Programs with windows start the gateway with a short PATH, without the folders that a shell adds in its profile.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

SECONDS = 5.0
"""How long a shell may take, with all that its profile does."""

_MARK = "mcp-gateway-path"
_COMMAND = f"echo {_MARK}; printenv PATH; echo {_MARK}"
_FLAGS = (("-l", "-i", "-c"), ("-l", "-c"), ("-c",))
"""Many people set their PATH where only an interactive shell reads it; not every shell takes all flags."""

_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "USER", "XDG_CONFIG_HOME", "ZDOTDIR")


@cache
def read_login_path(start: str | None = None) -> str:
    """Return the PATH of the user's login shell, empty if unknown.

    The shell is asked once in a process. It starts with the PATH `start`, if given, in place of this process's own.
    """
    shell = _find_shell()
    if not shell:
        return ""
    try:
        return next(filter(None, (_ask(shell, flags, start) for flags in _FLAGS)), "")
    except subprocess.TimeoutExpired:
        return ""


def _find_shell() -> str:
    if os.name != "posix":
        return ""
    import pwd

    shell = os.environ.get("SHELL", "")
    if not shell:
        with suppress(KeyError):  # the user of a container may have no entry
            shell = pwd.getpwuid(os.getuid()).pw_shell
    return shell if Path(shell).is_absolute() and os.access(shell, os.X_OK) else ""


def _ask(shell: str, flags: tuple[str, ...], start: str | None) -> str:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if start is not None:
        environment["PATH"] = start
    home = environment.get("HOME", "/")
    # Into a file, since what a profile starts in the background may keep a pipe open.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: S603  # it is the user's own shell
                [shell, *flags, _COMMAND],
                env={**environment, "TERM": "dumb"},
                # Not the working directory, whose content a stranger may have chosen: profiles may look there.
                cwd=home if Path(home).is_dir() else "/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return ""
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        output.seek(0)
        found = output.read().decode("utf-8", "surrogateescape").split(f"{_MARK}\n")
    return found[1].strip() if len(found) >= 3 else ""  # noqa: PLR2004  # before, between and after the marks
