"""The key that tokens are encrypted with: from the environment, the system keyring, or a file of its owner's."""

from __future__ import annotations

import logging
from pathlib import Path

from cryptography.fernet import Fernet

from mcp_gateway.plugin import ConfigError, StorageError, write_file

log = logging.getLogger(__name__)

KEY_FILE = "key"
_SERVICE, _ACCOUNT = "mcp-orchestration-gateway", "oauth-tokens"


def cipher(given: str | None, folder: Path) -> Fernet:
    """Return what encrypts, with the key that was given, or found, or is now made.

    A key file wins over the keyring, so that a keyring that is only there sometimes changes nothing.

    Raises:
        ConfigError: the key is none, or cannot be kept.

    """
    if given is not None:
        return _made(given.encode(), "GATEWAY_OAUTH_KEY")
    path = folder / KEY_FILE
    try:
        if path.exists():
            return _made(path.read_bytes().strip(), str(path))
        return _made(_from_keyring() or _written(path), "the system keyring")
    except OSError as error:
        raise ConfigError(f"{path}: the key for OAuth tokens cannot be kept there: {error.strerror or error}") from None


def _made(key: bytes, where: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        raise ConfigError(
            f"{where}: it must be 32 random bytes in URL-safe base64; this makes one: "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        ) from None


def _from_keyring() -> bytes | None:
    """Return the key in the system keyring, which is made if need be; None if there is no keyring that works."""
    try:
        import keyring
        from keyring.backends.fail import Keyring as NoKeyring
    except ImportError:
        return None
    try:
        if isinstance(keyring.get_keyring(), NoKeyring):
            return None
        found = keyring.get_password(_SERVICE, _ACCOUNT)
        if found is None:
            keyring.set_password(_SERVICE, _ACCOUNT, Fernet.generate_key().decode())
            found = keyring.get_password(_SERVICE, _ACCOUNT)
    except Exception as error:  # noqa: BLE001  # a foreign library with foreign backends
        log.info("the system keyring cannot be used: %s", type(error).__name__)
        return None
    return found.encode() if found else None


def _written(path: Path) -> bytes:
    """Make a key and write it to a new file; if another process was faster, return its key."""
    key = Fernet.generate_key()
    try:
        write_file(path, [key], replace=False)
    except FileExistsError:
        return path.read_bytes().strip()
    except StorageError as error:
        raise ConfigError(f"the key for OAuth tokens cannot be kept: {error}") from None
    return key
