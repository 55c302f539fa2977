"""The console scripts of this distribution start the gateway, and it knows them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from core.tests.loops.test_own_entries import own, place
from mcp_gateway.protocol.implementation import NAME

__all__ = ["own", "place"]


def test_the_console_scripts_of_this_environment_are_known(own):
    scripts = [Path(sys.executable).parent / name for name in (NAME, "mcp-gateway")]
    assert [bool(own.describe({"command": str(script)})) for script in scripts] == [True, True]
    assert shutil.which(NAME, path=str(scripts[0].parent))
