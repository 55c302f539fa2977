"""Encryption key of stored tokens: environment, system keyring, or key file.

The key file is private to the user of the gateway.
"""

from __future__ import annotations

import logging
from pathlib import Path

from cryptography.fernet import Fernet

from mcp_gateway.plugin import ConfigError, StorageError, name_session_bus, write_file

log = logging.getLogger(__name__)

KEY_FILE = "key"
_SERVICE, _ACCOUNT = "mcp-orchestration-gateway", "oauth-tokens"


def open_cipher(given: str | None, folder: Path) -> Fernet:
    """Return a cipher with the given, stored or new key.

    The key comes from `GATEWAY_OAUTH_KEY`, else from the key file, else from the system keyring; if there is
    none, a new one is written to a file.

    The key file takes precedence over the keyring, so that a keyring that is only sometimes available changes nothing.

    Raises:
        ConfigError: the key is invalid, or a new one cannot be stored.

    """
    if given is not None:
        return _make_cipher(given.encode(), "GATEWAY_OAUTH_KEY")
    path = folder / KEY_FILE
    try:
        if path.exists():
            return _make_cipher(path.read_bytes().strip(), str(path))
        return _make_cipher(_load_keyring_key() or _write_new_key(path), "the system keyring")
    except OSError as error:
        raise ConfigError(f"{path}: the key for OAuth tokens cannot be kept there: {error.strerror or error}") from None


def _make_cipher(key: bytes, where: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        raise ConfigError(
            f"{where}: it must be 32 random bytes in URL-safe base64; this makes one: "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        ) from None


def _load_keyring_key() -> bytes | None:
    """Return the key from the system keyring.

    A missing key is created and stored there. None if no keyring works on this machine.
    """
    name_session_bus()
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
            # Read back, because another process may have stored one meanwhile, and some backends store nothing.
            found = keyring.get_password(_SERVICE, _ACCOUNT)
    except Exception as error:  # noqa: BLE001  # a foreign library with foreign backends
        log.info("keyring unavailable", extra={"reason": type(error).__name__})
        return None
    return found.encode() if found else None


def _write_new_key(path: Path) -> bytes:
    """Create a key in a new file.

    If another process has created the file first, its key is returned.
    """
    key = Fernet.generate_key()
    try:
        write_file(path, [key], replace=False)
    except FileExistsError:
        return path.read_bytes().strip()
    except StorageError as error:
        raise ConfigError(f"the key for OAuth tokens cannot be kept: {error}") from None
    return key
