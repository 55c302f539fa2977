"""The key of OAuth logins in a real keyring that is locked, or silent, as a gateway starts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ..e2e.support.authorization_server import browse, start_authorization_server, start_protected_server
from ..e2e.support.gateways import GATEWAY, Launcher, until
from ..e2e.support.raw_clients import Client
from ..e2e.support.sample_home import SampleHome
from .support.gnome import GnomeHome
from .test_gnome_keyring import ask, configure, serve

LINK = re.compile(r"http://127\.0\.0\.1:\d+/login/[\w-]+")
LOCKED = "the system keyring is locked: unlock it, or set GATEWAY_OAUTH_KEY"
SILENT = "the system keyring has not answered within 5 s: unlock it, or set GATEWAY_OAUTH_KEY"


def prepare(home: SampleHome, launcher: Launcher) -> None:
    """Configure a server with logins, and log in to it."""
    authority = start_authorization_server(launcher)
    configure(home, crm={"url": start_protected_server(launcher, authority.issuer), "auth_type": "oauth"})
    process = launcher.start([GATEWAY, "login", "crm", "--no-browser"], home.environment)
    assert process.popen.stdout is not None
    link = next(found for line in process.popen.stdout if (found := LINK.search(line)))
    assert browse(link[0]).status_code == 200
    assert "You are logged in to crm" in process.popen.stdout.read()
    assert process.popen.wait(60) == 0


def who(client: Client) -> str:
    return str(client.call("call_remote_tool", {"tool_name": "crm__whoami", "arguments": {}})["result"])


def read_folder(home: SampleHome) -> dict[str, bytes]:
    """Return the files of logins and the key file."""
    (folder,) = Path(home.environment["XDG_STATE_HOME"]).rglob("oauth")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.mark.parametrize("start", [lambda _: None, GnomeHome.start_silent_prompter], ids=["locked", "silent"])
def test_logins_outlive_a_gateway_that_started_before_the_keyring_was_unlocked(
    home: GnomeHome, launcher: Launcher, start: Callable[[GnomeHome], None]
) -> None:
    prepare(home, launcher)
    before = read_folder(home)
    home.lock()
    start(home)
    both = [serve(launcher, home, over) for over in ("stdio", "http")]
    for client in both:
        assert ask(client, "plain") == "book: find_0: no key"
        assert (SILENT if start is GnomeHome.start_silent_prompter else LOCKED) in who(client)
    assert read_folder(home) == before
    home.unlock()
    for client in both:
        until(lambda client=client: "'alice'" in who(client), "the login after the keyring is unlocked")
    assert read_folder(home) == before


def test_verbs_say_that_the_keyring_is_locked(home: GnomeHome, launcher: Launcher) -> None:
    prepare(home, launcher)
    before = read_folder(home)
    home.lock()
    for verb in ("login crm --no-browser", "logout crm", "call crm__whoami", "check --connect"):
        done = home.run(*verb.split())
        assert (done.returncode, LOCKED in done.stdout + done.stderr) == (1, True), verb
    assert read_folder(home) == before
    home.unlock()
    assert "'alice'" in home.run("call", "crm__whoami").stdout.replace('"', "'")
    assert "You are logged out of crm" in home.run("logout", "crm").stdout
