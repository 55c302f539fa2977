"""Completion of command lines in shells, by argcomplete."""

from __future__ import annotations

import argparse

from mcp_gateway.protocol.implementation import NAME

SHELLS = ("bash", "zsh", "fish")
PROGRAMS = (NAME, "mcp-gateway")


def complete_words(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks what may come next.

    The process ends with that.
    """
    import argcomplete

    argcomplete.autocomplete(parser)


def shell_code(shell: str) -> str:
    """Return what a shell evaluates to complete the gateway's commands."""
    from argcomplete.shell_integration import shellcode

    code: str = shellcode(list(PROGRAMS), shell=shell)
    return code
