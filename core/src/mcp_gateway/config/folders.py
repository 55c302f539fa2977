"""The user's folders for this program, by the platform's conventions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.implementation import NAME


def config_folder() -> Path:
    """Return the configuration folder: `~/.config/mcp-orchestration-gateway` on Linux."""
    from platformdirs import user_config_path

    return _resolve(lambda: user_config_path(NAME, appauthor=False))


def state_folder() -> Path:
    """Return the state folder: `~/.local/state/mcp-orchestration-gateway` on Linux."""
    from platformdirs import user_state_path

    return _resolve(lambda: user_state_path(NAME, appauthor=False))


def _resolve(find: Callable[[], Path]) -> Path:
    try:
        return find()
    except RuntimeError:  # there is no home folder
        raise ConfigError("environment: HOME: there is no home folder; set HOME to a whole path") from None
