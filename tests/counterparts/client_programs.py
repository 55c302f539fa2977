"""How a published client is installed and run."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from ..bench.environments import NodeEnvironment, PythonEnvironment

PROGRAMS = Path(__file__).parent / "programs"
BRIDGE = NodeEnvironment("bridge", "mcp-remote@latest")
INSPECTOR = NodeEnvironment("inspector", "@modelcontextprotocol/inspector@latest")

LIST, SEARCH, REMOTE, NATIVE, FOUND = "list", "search", "`call_remote_tool`", "a listed tool", "the found name"
PROMPTS, RESOURCES = "prompts", "resources"
ABILITIES = (LIST, SEARCH, REMOTE, NATIVE, FOUND, PROMPTS, RESOURCES)
EVERY_TOOL = frozenset({LIST, SEARCH, REMOTE, NATIVE})


@dataclass(frozen=True)
class ClientProgram:
    """A published client, and what it can do.

    The program `path` drives it. `package` is what is tried, if that is another program, which the driver starts.
    """

    name: str
    path: str
    requirements: tuple[str, ...]
    abilities: frozenset[str]
    package: NodeEnvironment | None = None

    @property
    def is_agent(self) -> bool:
        """Whether a model drives it."""
        return self.path.startswith("agents/")

    @property
    def transports(self) -> tuple[str, ...]:
        """How it reaches the gateway."""
        return ("http",) if self.package is BRIDGE else ("stdio", "http")

    def command(self) -> list[str]:
        """Return what runs it, installed now if need be."""
        if not self.requirements:
            return [sys.executable, str(PROGRAMS / self.path)]
        environment = self._environment()
        folder = environment.ready()
        if isinstance(environment, PythonEnvironment):
            return [str(folder / "bin" / "python"), str(PROGRAMS / self.path)]
        return [environment.node(), copy_modules(self.path, folder)]

    def version(self) -> str:
        """Return which version of it is installed."""
        if self.package is not None:
            return self.package.version()
        return self._environment().version(re.split(r"[\[<>=]", self.requirements[0])[0])

    def _environment(self) -> PythonEnvironment | NodeEnvironment:
        label = f"client-{Path(self.path).stem}"
        if self.path.endswith(".mjs"):
            return NodeEnvironment(label, self.requirements[0], beside=self.requirements[1:])
        return PythonEnvironment(label, self.requirements)


def copy_modules(path: str, folder: Path) -> str:
    """Copy a program for Node.js into a folder, since it finds packages beside itself; return where it is."""
    for file in ("shared.mjs", path):
        (folder / Path(file).name).write_text((PROGRAMS / file).read_text(encoding="utf-8"), encoding="utf-8")
    return str(folder / Path(path).name)
