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
    AuthError,
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
    return anyio.run(_login, context, arguments, bound)


def run_logout(context: CommandContext, arguments: Any) -> int:
    """Forget a login, and have its tokens revoked."""
    return anyio.run(_logout, context, arguments, _find_strategy(context, arguments.server))


def _find_strategy(context: CommandContext, server: str) -> Bound[AuthStrategy]:
    if (bound := context.find_auth(server)) is None:
        raise ConfigError(
            f'the entry of server {server!r} has no login; if the server wants one, set "auth_type": "oauth" there'
        )
    return bound


async def _login(context: CommandContext, arguments: Any, bound: Bound[AuthStrategy]) -> int:
    server = arguments.server
    failure: GatewayError | None = None
    with anyio.move_on_after(PATIENCE_SECONDS) as patience:
        async with bound.open() as strategy:
            if isinstance(strategy, InteractiveAuth):
                failure = await _wait_for_login(context, arguments, strategy)
            else:
                message = f'nobody logs in with "auth_type": "{bound.name}"; one does with "oauth"'
                failure = ConfigError(f"server {server!r}: {message}")
    if failure is not None:  # raised here, because the task groups above would wrap it
        raise failure
    if patience.cancelled_caught:
        raise AuthError(f"server {server!r}: nobody logged in within {PATIENCE_SECONDS / 60:g} minutes; try again")
    if arguments.json:
        context.show_json({"server": server, "logged_in": True})
    else:
        context.show(f"You are logged in to {server}.")
    return 0


async def _wait_for_login(context: CommandContext, arguments: Any, strategy: InteractiveAuth) -> GatewayError | None:
    async with anyio.create_task_group() as tasks:

        def show_link(link: str) -> None:
            what = f"Open this link in a browser on this machine to log in to {arguments.server}:"
            if arguments.json:  # its object is the end, and the only thing on standard output
                context.complain(what, "", f"  {link}", "")
            else:
                context.show(what, "", f"  {link}", "", flush=True)
            if not arguments.no_browser and _has_display():
                tasks.start_soon(partial(anyio.to_thread.run_sync, abandon_on_cancel=True), webbrowser.open, link)

        try:
            await strategy.login(show_link)
        except GatewayError as error:
            return error
        finally:
            tasks.cancel_scope.cancel()
    return None


async def _logout(context: CommandContext, arguments: Any, bound: Bound[AuthStrategy]) -> int:
    server = arguments.server
    was_revoked: bool | None = None
    failure: GatewayError | None = None
    async with bound.open() as strategy:
        if isinstance(strategy, SupportsLogout):
            try:
                was_revoked = await strategy.logout()
            except GatewayError as error:
                failure = error
        else:
            failure = ConfigError(f'server {server!r}: "auth_type": "{bound.name}" keeps no login; "oauth" does')
    if failure is not None:  # raised here, because the task groups above would wrap it
        raise failure
    if arguments.json:
        context.show_json({"server": server, "logged_out": was_revoked is not None, "revoked": bool(was_revoked)})
    else:
        context.show(_describe_logout(server, was_revoked))
    return 0


def _describe_logout(server: str, was_revoked: bool | None) -> str:  # noqa: FBT001  # None if there was no login
    if was_revoked is None:
        return f"Nobody is logged in to {server}."
    outcome = (
        "its authorization server has revoked the tokens"
        if was_revoked
        else "its authorization server has not confirmed it: the tokens are good until they expire"
    )
    return f"You are logged out of {server}; {outcome}."


def _has_display() -> bool:
    """Whether a graphical browser can be opened.

    A text browser would take over the terminal.
    """
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
