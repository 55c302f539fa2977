"""Build hook that answers `pip install -e .` with the command that works."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Refusal of editable builds by pip."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Stop pip, which would look for the packages of the workspace on an index; uv knows the workspace."""
        # Dependencies at file:// addresses would be copies, and conflict with `-e core` beside them (pip 23.2).
        if version == "editable" and "PIP_BUILD_TRACKER" in os.environ:
            names = [re.split(r"[^\w.-]", requirement)[0] for requirement in self.metadata.core.dependencies]
            plugins = [name.removeprefix("mcp-gateway-") for name in names if name.startswith("mcp-gateway-")]
            folders = ["core", *(f"plugins/{plugin}" for plugin in plugins if plugin != "core")]
            line = f"pip install {' '.join(f'-e {folder}' for folder in folders)} ."
            sys.exit(f"pip cannot install this workspace by its root alone. Type `uv sync`, or:\n\n{line}\n")
