"""Encrypted token store of one server's login.

It is a file that all gateways of this user share.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread
from cryptography.fernet import Fernet, InvalidToken
from filelock import FileLock, Timeout
from pydantic import ValidationError

from mcp_gateway.plugin import ConfigError, ServerUnavailable, StorageError, write_file
from mcp_gateway_auth_oauth.ciphers import LOGIN_SUFFIX, open_cipher
from mcp_gateway_auth_oauth.logins import Login

log = logging.getLogger(__name__)

LOCK_SECONDS = 60.0
"""How long to wait for another process that is refreshing the same tokens."""

_FOLDER = "mcp-orchestration-gateway"
"""The name of the program's folder among the user's state folders."""


@dataclass(slots=True)
class TokenStore:
    """The login to one server in an encrypted file.

    There is one writer at a time, in this process and in others.
    """

    path: Path
    fernet: Fernet
    _cached: tuple[tuple[int, int] | None, Login] | None = None
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    @classmethod
    def open(cls, server: str, url: str, folder: Path | None, key: str | None) -> TokenStore:
        """Open the token store of one server.

        Raises:
            ConfigError: there is no folder for it, or no key.

        """
        folder = folder or default_folder()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: OAuth tokens cannot be kept there: {error.strerror or error}") from None
        name = sha256(f"{server}\0{url}".encode()).hexdigest()[:32]
        return cls(folder / f"{name}{LOGIN_SUFFIX}", open_cipher(key, folder))

    def read(self) -> Login:
        """Return the stored login, or an empty one.

        An unreadable file counts as empty, and is logged.
        """
        stamp = self._stamp()
        if self._cached is not None and self._cached[0] == stamp:
            return self._cached[1]
        if stamp is None:
            return Login()
        try:
            login = Login.model_validate_json(self.fernet.decrypt(self.path.read_bytes()))
        except (OSError, InvalidToken, ValidationError) as error:
            log.warning(
                "login unreadable",
                extra={"file": str(self.path), "reason": type(error).__name__, "hint": "log in again"},
            )
            login = Login()
        self._cached = (stamp, login)
        return login

    def _stamp(self) -> tuple[int, int] | None:
        """Return a stamp of the file's content; None without a file."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        # The file is always replaced, so the inode distinguishes two writes within one tick of the clock.
        return found.st_mtime_ns, found.st_ino

    def write(self, login: Login) -> None:
        """Replace the login atomically.

        If it cannot be written, it is still used in this process.
        """
        try:
            write_file(self.path, [self.fernet.encrypt(login.model_dump_json().encode())])
        except StorageError as error:
            log.warning("login not stored", extra={"reason": str(error), "hint": "it is lost when this gateway ends"})
            self._cached = (self._stamp(), login)  # the old refresh token may be revoked by now

    async def update(self, change: Callable[[Login], Login]) -> None:
        """Change the stored login, under the write lock."""
        async with self.write_lock():
            before = self.read()
            after = change(before)
            if after != before:
                self.write(after)

    @asynccontextmanager
    async def write_lock(self) -> AsyncIterator[None]:
        """Hold the write lock, across tasks and processes.

        Raises:
            ServerUnavailable: another process holds it for too long.

        """
        # thread_local=False, because it is acquired in a worker thread and released in the event loop's.
        lock = FileLock(f"{self.path}.lock", timeout=LOCK_SECONDS, thread_local=False, mode=0o600)
        async with self._turn:
            try:
                await anyio.to_thread.run_sync(lock.acquire)
            except Timeout:
                raise ServerUnavailable("another gateway is refreshing its OAuth tokens; try again later") from None
            try:
                yield
            finally:
                lock.release()


def default_folder() -> Path:
    """Return the folder of logins: `~/.local/state/mcp-orchestration-gateway/oauth` on Linux.

    Raises:
        ConfigError: there is no home folder.

    """
    from platformdirs import user_state_path  # its import depends on the platform

    try:
        return user_state_path(_FOLDER, appauthor=False) / "oauth"
    except RuntimeError:  # there is no home folder
        raise ConfigError("GATEWAY_OAUTH_FOLDER: there is no home folder; set it to a whole path") from None
