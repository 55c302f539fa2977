"""The command line, a plugin like any other.

Its hooks are imported when the plugin is loaded, which a window has no time for.
"""

from __future__ import annotations

GATEWAY_API = 1
_HOOKS = "mcp_gateway_commands"


def __getattr__(name: str) -> object:
    """Return a hook."""
    if name != _HOOKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mcp_gateway_cli import hooks

    return getattr(hooks, name)


def __dir__() -> list[str]:
    """Name the hooks, too, by which they are found."""
    return [*globals(), _HOOKS]
