"""The commands by which a plugin gets into the environment of this gateway."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment that the gateway runs in.

    * `prefix`: its folder; `python`: its interpreter.
    * `has_pip`, `has_testkit`: whether these are in it; `has_uv`: whether uv is on the PATH.
    """

    prefix: Path
    python: str
    has_pip: bool
    has_testkit: bool
    has_uv: bool

    @classmethod
    def find(cls) -> Environment:
        """Return the environment of this process."""
        has_pip, has_testkit = (find_spec(name) is not None for name in ("pip", "mcp_gateway_testkit"))
        return cls(Path(sys.prefix), sys.executable, has_pip, has_testkit, shutil.which("uv") is not None)

    def install_command(self, folder: Path) -> str:
        """Return the command that installs the plugin in a folder.

        Changes in the folder then count at once. Its tests come along where their testkit is.
        """
        place = str(folder) if folder.is_absolute() or folder.parts[0] == ".." else f"./{folder}"
        return self._join_install("-e", f"{place}[test]" if self.has_testkit else place)

    def install_tests_command(self, folder: Path) -> str:
        """Return the command that installs the plugin with the testkit, at TESTKIT."""
        return f"{replace(self, has_testkit=True).install_command(folder)} -e TESTKIT"

    def _join_install(self, *wanted: str) -> str:
        if (self.prefix / "pipx_metadata.json").is_file():
            return join_words("pipx", "inject", self.prefix.name, *wanted)
        if (self.prefix / "uv-receipt.toml").is_file() or (self.has_uv and not self.has_pip):
            return join_words("uv", "pip", "install", "--python", self.python, *wanted)
        install = join_words(self.python, "-m", "pip", "install", *wanted)
        return install if self.has_pip else f"{join_words(self.python, '-m', 'ensurepip')} && {install}"

    def test_command(self, folder: Path) -> str:
        """Return the command that runs the plugin's tests."""
        return join_words(self.python, "-m", "pytest", str(folder))


def join_words(*words: str) -> str:
    """Join words to a line that the shell of this system splits into them."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
