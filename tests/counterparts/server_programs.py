"""How a published server is installed and started."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..bench.environments import NodeEnvironment, PythonEnvironment

Json = dict[str, Any]


@dataclass(frozen=True)
class PublishedServer:
    """A published server, how it is started, and a call that changes nothing.

    `program` is the name of its command (PyPI) or the path of its script (npm), if that is not what the package says.
    `beside` are requirements that it does not declare.
    """

    package: str
    program: str = ""
    arguments: tuple[str, ...] = ()
    call: tuple[str, Json] | None = None
    variables: tuple[tuple[str, str], ...] = ()
    beside: tuple[str, ...] = ()
    is_on_npm: bool = False

    def environment(self) -> PythonEnvironment | NodeEnvironment:
        """Return the environment that it lives in."""
        label = "server-" + self.package.strip("@").replace("/", "-")
        if self.is_on_npm:
            return NodeEnvironment(label, f"{self.package}@latest")
        return PythonEnvironment(label, (self.package, *self.beside))

    def command(self) -> list[str]:
        """Return what starts it, installed now if need be."""
        environment = self.environment()
        if isinstance(environment, PythonEnvironment):
            return [*isolation(), environment.program(self.program or self.package), *self.arguments]
        return [*isolation(), environment.node(), str(environment.module(self._script(environment))), *self.arguments]

    def _script(self, environment: NodeEnvironment) -> str:
        if self.program:
            return self.program
        programs = json.loads(environment.module("package.json").read_text(encoding="utf-8"))["bin"]
        return str(programs if isinstance(programs, str) else next(iter(programs.values())))


@cache
def isolation() -> tuple[str, ...]:
    """Return what starts a program without a network, if this machine can do that (Linux)."""
    command = ("unshare", "--net", "--map-root-user")
    if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
        return command
    return ()
