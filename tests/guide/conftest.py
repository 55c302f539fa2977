"""Fixtures of the guide tests."""

from __future__ import annotations

import pytest

from .support.clones import Clone, fresh_clone


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return fresh_clone(tmp_path_factory.mktemp("home") / "clone")
