"""Lazy imports of the SDK, and suppression of optional ones.

The packages of the MCP SDK import everything in their `__init__`, including its high-level server and client, which
takes a fifth of the start-up time and nine megabytes. structlog imports rich, if installed, for tracebacks with the
values of variables, which could be secrets.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_LATER = ("mcp", "mcp.client", "mcp.server")


class _LazyPackage(ModuleType):
    """A package that runs its `__init__` at first attribute access.

    Only access to an attribute that is not set yet triggers it.
    """

    def __getattr__(self, name: str) -> Any:
        # The import system looks up dunder names, which must not load the package.
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]  # an ordinary package from now on
        if self.__spec__ is not None and self.__spec__.loader is not None:
            self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def defer_sdk_imports() -> None:
    """Make the SDK's packages lazy and hide rich from structlog.

    Packages that are already imported are not changed.
    """
    _import_without("structlog", "rich")
    for name in _LATER:
        if name in sys.modules:
            continue
        spec = find_spec(name)
        if spec is None:
            continue
        package = module_from_spec(spec)
        package.__class__ = _LazyPackage
        sys.modules[name] = package
        parent, _, child = name.rpartition(".")
        if parent:
            # As the import system does, so that `mcp.client` works after `import mcp.client`.
            setattr(sys.modules[parent], child, package)


def _import_without(module: str, hidden: str) -> None:
    """Import a module with an optional dependency hidden."""
    if hidden in sys.modules:
        return
    sys.modules[hidden] = None  # type: ignore[assignment]  # makes Python raise ImportError
    try:
        import_module(module)
    finally:
        del sys.modules[hidden]
