"""The machine, as far as places of files depend on it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mcp_gateway.plugin import ConfigError


@dataclass(frozen=True, slots=True)
class Machine:
    """An operating system, a home folder and an environment.

    `system` is `linux`, `darwin` or `win32`, as `sys.platform` says it; any other counts as `linux`.
    """

    system: str
    home: Path
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def config(self) -> Path:
        """The folder of configurations by the XDG specification, on every system."""
        return self.folder("XDG_CONFIG_HOME") or self.home / ".config"

    @property
    def roaming(self) -> Path:
        """The folder of configurations on Windows."""
        return self.folder("APPDATA") or self.home / "AppData" / "Roaming"

    @property
    def local(self) -> Path:
        """The folder of what stays on one machine, on Windows."""
        return self.folder("LOCALAPPDATA") or self.home / "AppData" / "Local"

    @property
    def support(self) -> Path:
        """Where programs with windows keep their configurations."""
        if self.system == "darwin":
            return self.home / "Library" / "Application Support"
        return self.roaming if self.system == "win32" else self.config

    def folder(self, variable: str) -> Path | None:
        """Return the folder that a variable names; relative ones do not count."""
        path = Path(self.environ.get(variable, ""))
        return path if path.is_absolute() else None

    def shorten(self, path: Path) -> str:
        """Return a path with `~` for the home folder."""
        return f"~/{path.relative_to(self.home).as_posix()}" if path.is_relative_to(self.home) else str(path)


def find_machine(environ: Mapping[str, str]) -> Machine:
    """Return the machine that this process runs on.

    Raises:
        ConfigError: there is no home folder.

    """
    try:
        return Machine(sys.platform, Path.home(), environ)
    except RuntimeError:
        raise ConfigError("environment: HOME: there is no home folder; set HOME to a whole path") from None
