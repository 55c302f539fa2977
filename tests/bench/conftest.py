"""Lets the tests import the bench, which runs as `python tests/bench`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
