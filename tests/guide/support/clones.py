"""A fresh clone, as a newcomer has it, and the commands that a page tells them to type."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]

_CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands_in(page: str) -> list[str]:
    """Return what stands behind `$ ` in the console blocks of a page of this repository."""
    blocks = _CONSOLE.findall((ROOT / page).read_text(encoding="utf-8"))
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@dataclass(frozen=True)
class Clone:
    """A folder with the repository's files and nothing else."""

    folder: Path

    def environment(self, **variables: str) -> dict[str, str]:
        """Return an environment without the tester's own virtual environment and settings."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "VIRTUAL_ENV", "TOX"))
        }
        venv = os.environ.get("VIRTUAL_ENV")
        kept["PATH"] = os.pathsep.join(
            part for part in kept["PATH"].split(os.pathsep) if not venv or not part.startswith(venv)
        )
        return {**kept, "GATEWAY_STATE_DIR": str(self.folder / ".state"), **variables}

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a shell; it must succeed."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
        return done


def fresh_clone(folder: Path) -> Clone:
    """Copy what git tracks, and what it would, into an empty folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return Clone(folder)
