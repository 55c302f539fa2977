"""Errors of editing."""

from __future__ import annotations

from mcp_gateway.plugin import ConfigError


class EditError(ConfigError):
    """A document that cannot be edited as wanted; nothing was written."""


class FileChanged(EditError):
    """A file that another program has changed meanwhile."""
