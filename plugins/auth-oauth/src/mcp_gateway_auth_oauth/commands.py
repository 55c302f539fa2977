"""`login` and `logout`: begin and end a login to a server."""

from __future__ import annotations

import os
import sys
import webbrowser
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from mcp_gateway.plugin import (
    AuthStrategy,
    Bound,
    CommandContext,
    ConfigError,
    GatewayError,
    InteractiveAuth,
    SupportsLogout,
)

PATIENCE_SECONDS = 900.0


def run_login(context: CommandContext, arguments: Any) -> int:
    """Show the login link and wait for the login.

    The link opens in a browser if there is one.
    """
    bound = _find_strategy(context, arguments.server)
    return anyio.run(partial(_login, context, arguments.server, bound, browser=not arguments.no_browser))


def run_logout(context: CommandContext, arguments: Any) -> int:
    """Forget a login, and have its tokens revoked."""
    return anyio.run(_logout, context, arguments.server, _find_strategy(context, arguments.server))


def _find_strategy(context: CommandContext, server: str) -> Bound[AuthStrategy]:
    if (bound := context.find_auth(server)) is None:
        raise ConfigError(f'server {server!r} wants no login; if it does, set "auth_type": "oauth" in its entry')
    return bound


async def _login(context: CommandContext, server: str, bound: Bound[AuthStrategy], *, browser: bool) -> int:
    failure: GatewayError | None = None
    with anyio.move_on_after(PATIENCE_SECONDS) as patience:
        async with bound.open() as strategy:
            if isinstance(strategy, InteractiveAuth):
                failure = await _wait_for_login(context, server, strategy, browser=browser)
            else:
                message = f'nobody logs in with "auth_type": "{bound.name}"; one does with "oauth"'
                failure = ConfigError(f"server {server!r}: {message}")
    if failure is not None:  # raised here, because the task groups above would wrap it
        raise failure
    if patience.cancelled_caught:
        context.complain("nobody logged in in time")
        return 1
    context.show(f"You are logged in to {server}.")
    return 0


async def _wait_for_login(
    context: CommandContext, server: str, strategy: InteractiveAuth, *, browser: bool
) -> GatewayError | None:
    async with anyio.create_task_group() as tasks:

        def show_link(link: str) -> None:
            context.show(
                f"Open this link in a browser on this machine to log in to {server}:", "", f"  {link}", "", flush=True
            )
            if browser and _has_display():
                tasks.start_soon(partial(anyio.to_thread.run_sync, abandon_on_cancel=True), webbrowser.open, link)

        try:
            await strategy.login(show_link)
        except GatewayError as error:
            return error
        finally:
            tasks.cancel_scope.cancel()
    return None


async def _logout(context: CommandContext, server: str, bound: Bound[AuthStrategy]) -> int:
    was_revoked: bool | None = None
    keeps_logins = False
    async with bound.open() as strategy:
        if keeps_logins := isinstance(strategy, SupportsLogout):
            was_revoked = await strategy.logout()
    if not keeps_logins:
        raise ConfigError(f'server {server!r}: "auth_type": "{bound.name}" keeps no login; "oauth" does')
    if was_revoked is None:
        context.show(f"Nobody is logged in to {server}.")
        return 0
    outcome = (
        "its authorization server has revoked the tokens"
        if was_revoked
        else "its authorization server has not confirmed it: the tokens are good until they expire"
    )
    context.show(f"You are logged out of {server}; {outcome}.")
    return 0


def _has_display() -> bool:
    """Whether a graphical browser can be opened.

    A text browser would take over the terminal.
    """
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
