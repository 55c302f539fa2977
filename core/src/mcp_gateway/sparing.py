"""Sparing imports: packages of the MCP SDK whose `__init__` imports all that they have wait until that is asked for.

The gateway uses some of their modules. What it does not use, such as the SDK's own high-level server and
client, would take a fifth of its start and nine megabytes.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_LATER = ("mcp", "mcp.client", "mcp.server")


class _Later(ModuleType):
    """A package that runs its `__init__` when somebody asks for a name that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]  # it is a usual package from now on
        if self.__spec__ is not None and self.__spec__.loader is not None:
            self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def spare_imports() -> None:
    """Let the packages wait, unless they have been imported already."""
    for name in _LATER:
        if name in sys.modules:
            continue
        spec = find_spec(name)
        if spec is None:
            continue
        package = module_from_spec(spec)
        package.__class__ = _Later
        sys.modules[name] = package
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)
