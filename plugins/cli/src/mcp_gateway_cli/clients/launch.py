"""The command by which programs start the gateway."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.entry_forms import Launch

_SCRIPTS = ("mcp-gateway", NAME)
_CACHES = re.compile(
    r"[/\\](archive-v\d+|environments-v\d+|builds-v\d+|\.cache[/\\]pipx|pipx[/\\]\.?cache)[/\\]", re.IGNORECASE
)
"""Folders in which uvx and `pipx run` keep environments that they throw away."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The environment that this process runs in.

    * `prefix`: its folder; `scripts`: where its commands are.
    * `path`: the folders that commands are looked for in.
    * `source`: where the distribution came from, if its installer wrote that down.
    """

    prefix: Path
    scripts: Path
    path: str
    source: str = ""

    @property
    def is_temporary(self) -> bool:
        """Whether it goes away by itself."""
        return _CACHES.search(f"{self.prefix}{os.sep}") is not None


def find_installation(environ: Mapping[str, str]) -> Installation:
    """Return the environment of this process."""
    return Installation(
        Path(sys.prefix), Path(sysconfig.get_path("scripts")), environ.get("PATH", os.defpath), _find_source()
    )


def find_launch(installation: Installation, environ: Mapping[str, str]) -> Launch:
    """Return a command that starts the gateway after updates, too.

    `environ` are the variables that it needs.

    Raises:
        ConfigError: this installation goes away by itself, and no other can be found.

    """
    script = next(_find_scripts(installation), None)
    if script is not None:
        return Launch(str(script), (), environ)
    if installation.is_temporary and installation.source and (uvx := shutil.which("uvx", path=installation.path)):
        return Launch(uvx, ("--from", installation.source, NAME), environ)
    where = "in a temporary environment, which goes away" if installation.is_temporary else "without its commands"
    raise ConfigError(
        f"the gateway runs {where} ({installation.prefix}), so that programs could not start it later: install it, for "
        f"example with 'uv tool install' or 'pipx install' from where you have it, and repeat this"
    )


def _find_scripts(installation: Installation) -> Iterator[Path]:
    """Yield commands that last, the best first.

    A link on the PATH to this installation survives when the environment is built anew, as pipx and uv do. In a
    temporary environment, any other installation's command counts.
    """
    for name in _SCRIPTS:
        script = _existing(installation.scripts / name)
        for folder in installation.path.split(os.pathsep):
            found = _existing(Path(folder) / name) if folder and Path(folder).is_absolute() else None
            if found is None:
                continue
            is_own = script is not None and found.resolve() == script.resolve()
            if is_own is not installation.is_temporary and not _CACHES.search(str(found.resolve())):
                yield found
        if script is not None and not installation.is_temporary:
            yield script


def _existing(path: Path) -> Path | None:
    candidates = (path, path.with_suffix(".exe")) if sys.platform == "win32" else (path,)
    return next((found for found in candidates if found.is_file()), None)


def _find_source() -> str:
    """Return where the distribution came from, for `uvx --from`."""
    try:
        written = distribution(NAME).read_text("direct_url.json")
        found = json.loads(written or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    url, version = str(found.get("url", "")), found.get("vcs_info", {})
    if version:
        revision = version.get("requested_revision")
        return f"{version.get('vcs', 'git')}+{url}{f'@{revision}' if revision else ''}"
    return url.removeprefix("file://") if sys.platform != "win32" else url
