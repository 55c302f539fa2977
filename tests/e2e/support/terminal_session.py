"""Commands as people and programs run them: in a real pseudo-terminal, and piped.

HOME and all folders of the XDG specification are temporary, so that nobody's own files are touched.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pexpect

from .gateways import GATEWAY

SECONDS = 60.0
"""How long a command may take."""

_REPLACED = re.compile(r"[^\n]*\r\x1b\[K")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")


@dataclass(frozen=True)
class Home:
    """An empty home, with an environment that leads nowhere else."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of what is run."""
        folders = {
            "HOME": ".",
            "XDG_CONFIG_HOME": ".config",
            "XDG_STATE_HOME": ".local/state",
            "XDG_DATA_HOME": ".local/share",
            "XDG_CACHE_HOME": ".cache",
            "XDG_RUNTIME_DIR": "run",
        }
        for place in folders.values():
            (self.folder / place).mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        homes = {name: str((self.folder / place).resolve()) for name, place in folders.items()}
        return {**kept, **homes, "COLUMNS": "100", "LINES": "40", **self.variables}

    def run(self, *arguments: str, text: str = "", command: Sequence[str] = (GATEWAY,)) -> subprocess.CompletedProcess:
        """Run a command piped; `text` is its standard input."""
        return subprocess.run(
            [*command, *arguments],
            cwd=self.folder,
            env={**self.environment, "TERM": "dumb"},
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    @contextmanager
    def open_terminal(self, *arguments: str, columns: int = 100, command: str = GATEWAY) -> Iterator[pexpect.spawn]:
        """Run a command in a pseudo-terminal, to be asked and answered."""
        environment = {**self.environment, "TERM": "xterm-256color", "COLUMNS": str(columns)}
        child = pexpect.spawn(
            command,
            list(arguments),
            cwd=str(self.folder),
            env=environment,
            timeout=SECONDS,
            encoding="utf-8",
            dimensions=(40, columns),
            preexec_fn=_obey_interrupts,
        )
        try:
            yield child
        finally:
            child.close(force=True)

    def watch(self, *arguments: str, columns: int = 100) -> tuple[int, str]:
        """Run a command in a pseudo-terminal to its end; return exit code and screen text."""
        with self.open_terminal(*arguments, columns=columns) as child:
            child.expect(pexpect.EOF)
            child.close()
            code = child.exitstatus if child.exitstatus is not None else -1
            return code, plain(child.before or "")


def _obey_interrupts() -> None:
    """Let Ctrl-C end the child: what started the tests may ignore it, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def plain(text: str) -> str:
    """Return what a person reads of the output of a terminal, in the end."""
    return _CONTROL.sub("", _REPLACED.sub("", text))
