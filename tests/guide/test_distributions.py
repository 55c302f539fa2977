"""Every distribution has the licence, and says where the project is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from .support.clones import ROOT

FOLDERS = [
    ROOT,
    *sorted(path.parent for part in ("core", "plugins/*", "tests/kit") for path in ROOT.glob(f"{part}/pyproject.toml")),
]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_distribution_has_the_licence_and_the_addresses(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    root = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "LICENSE" in project["license-files"]
    assert all((folder / name).is_file() for name in project["license-files"])
    assert (folder / "LICENSE").read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert project["urls"] == root["urls"]
