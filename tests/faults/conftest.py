"""Fixtures of the faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support import Workshop


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with ExitStack() as stack:
        yield Workshop(tmp_path_factory.mktemp("faults"), stack)
