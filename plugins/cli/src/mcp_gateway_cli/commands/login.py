"""`login`: log in to a server that requires it."""

from __future__ import annotations

import os
import sys
import webbrowser
from argparse import Namespace
from functools import partial

import anyio
import anyio.to_thread

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import complain, show
from mcp_gateway.plugin import ConfigError, InteractiveAuth

PATIENCE_SECONDS = 900.0


def run(context: ControlContext, arguments: Namespace) -> int:
    """Show the login link and wait for the login.

    The link opens in a browser if there is one.
    """
    context.configure_quiet_logging()
    return anyio.run(partial(_login, browser=not arguments.no_browser), context.find_spec(arguments.server))


async def _login(spec: ServerSpec, *, browser: bool) -> int:
    if spec.auth is None:
        raise ConfigError(f'server {spec.name!r} wants no login; if it does, set "auth_type": "oauth" in its entry')
    async with spec.auth.open() as strategy, anyio.create_task_group() as tasks:
        if not isinstance(strategy, InteractiveAuth):
            message = f'nobody logs in with "auth_type": "{spec.auth.name}"; one does with "oauth"'
            raise ConfigError(f"server {spec.name!r}: {message}")

        def show_link(link: str) -> None:
            show(
                f"Open this link in a browser on this machine to log in to {spec.name}:",
                "",
                f"  {link}",
                "",
                flush=True,
            )
            if browser and _has_display():
                tasks.start_soon(partial(anyio.to_thread.run_sync, abandon_on_cancel=True), webbrowser.open, link)

        with anyio.move_on_after(PATIENCE_SECONDS):
            await strategy.login(show_link)
            show(f"You are logged in to {spec.name}.")
            tasks.cancel_scope.cancel()
            return 0
    complain("nobody logged in in time")
    return 1


def _has_display() -> bool:
    """Whether a graphical browser can be opened.

    A text browser would take over the terminal.
    """
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
