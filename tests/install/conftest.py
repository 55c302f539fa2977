"""Fixtures of the tests of installing: a repository to clone, its packages, an empty home."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .support.environments import COMMIT, ROOT, Home, programs
from .support.packages import build_all


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return programs(tmp_path_factory.mktemp("path") / "bin")


@pytest.fixture
def home(tmp_path: Path, path: str) -> Home:
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home", path)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, path: str) -> Path:
    """A Git repository with the files of this one, to clone."""
    folder = tmp_path_factory.mktemp("upstream") / "repository"
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
    Home(folder.parent, path).run(f"cd {folder} && git init -q -b main && git add -A && {COMMIT}")
    return folder


@pytest.fixture(scope="session")
def dist(repository: Path, path: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    home = Home(folder, path)
    home.run(f"git clone -q {repository} clone")
    return build_all(home, folder / "clone")


@pytest.fixture(scope="session")
def gateway(dist: Path, path: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program of a gateway that is installed from the wheels."""
    home = Home(tmp_path_factory.mktemp("installed"), path)
    home.run(f"uv venv -q && uv pip install -q {dist}/*.whl")
    return str(home.folder / ".venv" / "bin" / "mcp-orchestration-gateway")
