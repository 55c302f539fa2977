"""A real authorization server for the tests, in a process of its own."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import httpx2

from .gateways import HERE, Json, Launcher, Process

AUTHORITY = HERE / "servers" / "authority.py"


@dataclass
class AuthorizationServer:
    """An authorization server that runs."""

    issuer: str
    process: Process

    def token(self, **asked: Any) -> str:
        """Have a token made: `claims` and `header` change what it says, `by` says who signs it."""
        answer = httpx2.post(f"{self.issuer}/test/mint", json=asked)
        assert answer.status_code == 200, answer.text
        return answer.text

    def change(self, **asked: Any) -> Json:
        """Change something; return what has happened so far."""
        found: Json = httpx2.post(f"{self.issuer}/test", json=asked).json()
        return found

    @property
    def stats(self) -> dict[str, int]:
        """How often each thing was asked for."""
        found: dict[str, int] = self.change()["stats"]
        return found


def start_authorization_server(launcher: Launcher, *arguments: str) -> AuthorizationServer:
    """Start an authorization server."""
    process = launcher.start([sys.executable, str(AUTHORITY), *arguments], dict(os.environ))
    assert process.popen.stdout is not None
    return AuthorizationServer(process.popen.stdout.readline().strip(), process)


PROTECTED = HERE / "servers" / "protected.py"


def start_protected_server(launcher: Launcher, issuer: str, *arguments: str) -> str:
    """Start an MCP server that wants tokens of an authorization server; return its URL."""
    process = launcher.start([sys.executable, str(PROTECTED), issuer, *arguments], dict(os.environ))
    assert process.popen.stdout is not None
    return process.popen.stdout.readline().strip()


def browse(link: str) -> httpx2.Response:
    """Follow a link as a browser does: with cookies, through all redirects."""
    with httpx2.Client(follow_redirects=True, timeout=60) as browser:
        return browser.get(link)
