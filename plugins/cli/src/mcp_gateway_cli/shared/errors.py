"""Errors of a window."""

from __future__ import annotations


class WindowError(Exception):
    """There is no shared gateway, and it is said why."""
