"""An empty home, and the programs that somebody who installs something has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
CALLED = {"command": "python3", "args": [str(ROOT / "tests" / "e2e" / "servers" / "plain.py"), "stdio"]}
"""A server that needs nothing but Python."""

COMMIT = "git -c user.name=T -c user.email=t@example.com commit -q -a -m Change"
"""The command that commits everything, whoever is asked."""

_KEPT = ("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LANG", "LC_")
"""What says where packages come from, and which certificates are right."""


def programs(folder: Path) -> str:
    """Return a PATH that has uv, pipx, twine, Python and git, and nothing that is installed beside the tests."""
    folder.mkdir()
    for name in ("uv", "uvx", "pipx"):
        (folder / name).symlink_to(Path(sys.executable).with_name(name))
    return os.pathsep.join([str(folder), str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin"])


@dataclass
class Home:
    """An empty home folder, and a folder in it in which commands are run."""

    folder: Path
    path: str
    variables: dict[str, str] = field(default_factory=dict)
    """Further variables of the environment."""

    def environment(self) -> dict[str, str]:
        """Return the environment of a newcomer; only downloads are shared with others."""
        kept = {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return {
            "UV_CACHE_DIR": str(cache / "uv"),
            "PIP_CACHE_DIR": str(cache / "pip"),
            "UV_SYSTEM_CERTS": "1",
            **kept,
            "HOME": str(self.folder),
            "PATH": os.pathsep.join([self.path, str(self.folder / ".local" / "bin")]),
            **self.variables,
        }

    def run(self, command: str, folder: Path | None = None) -> str:
        """Run a command in a shell; it must succeed. Return its standard output."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder or self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def assert_it_works(home: Home, program: str, folder: Path) -> None:
    """Check that an installed gateway says its version, reads a file of servers and calls a tool."""
    assert home.run(f"{program} --version", folder).startswith("mcp-orchestration-gateway ")
    servers = home.folder / "servers.json"
    servers.write_text(json.dumps({"mcpServers": {"plain": CALLED}}), encoding="utf-8")
    assert "all is well: 1 server" in home.run(f"{program} --config {servers} check", folder)
    assert "hello" in home.run(f"""{program} --config {servers} call plain__echo '{{"text": "hello"}}'""", folder)


def version() -> str:
    """Return the version of this repository."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
