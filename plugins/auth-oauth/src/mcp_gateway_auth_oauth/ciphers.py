"""Encryption key of stored tokens: environment, system keyring, or key file.

The key file is private to the user of the gateway.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet
from filelock import FileLock, Timeout

from mcp_gateway.plugin import ConfigError, StorageError, name_session_bus, write_file

log = logging.getLogger(__name__)

KEY_FILE = "key"
LOGIN_SUFFIX = ".login"
SET_KEY = "set GATEWAY_OAUTH_KEY to the key that logins are encrypted with"
_SERVICE, _ACCOUNT = "mcp-orchestration-gateway", "oauth-tokens"
_LOCK_SECONDS = 5.0

_IN_KEYRING = b"in the system keyring"
"""The content of a key file whose key is in the keyring.

It keeps a gateway that finds no keyring from making another key.
"""


class _NoKeyring(Exception):  # a state of the machine
    """No keyring works on this machine."""


def open_cipher(given: str | None, folder: Path) -> Fernet:
    """Return a cipher with the given, stored or new key.

    The key comes from `GATEWAY_OAUTH_KEY`, else from the key file, else from the system keyring. Only if there is
    none, and no login is stored, is a new one made: in the keyring, or on a machine without one in the key file.

    Raises:
        ConfigError: the key is invalid or cannot be had, or a new one cannot be stored.

    """
    if given is not None:
        return check_key(given)
    path = folder / KEY_FILE
    try:
        key, where = _find_key(path) or _make_key(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: the key for OAuth tokens cannot be read or kept there: {error.strerror or error}; mend that, "
            f"or {SET_KEY}"
        ) from None
    return _make_cipher(key, where)


def check_key(given: str) -> Fernet:
    """Return the cipher of `GATEWAY_OAUTH_KEY`.

    Raises:
        ConfigError: it is no key.

    """
    return _make_cipher(given.encode(), "GATEWAY_OAUTH_KEY")


def _find_key(path: Path) -> tuple[bytes, str] | None:
    """Return the stored key and its place; None without one."""
    noted = path.read_bytes().strip() if path.exists() else None
    if noted is not None and noted != _IN_KEYRING:
        return noted, str(path)
    try:
        found = _ask_keyring()
    except _NoKeyring:
        if noted is None:
            return None
        raise ConfigError(_describe_loss(path, "there is no system keyring that works here")) from None
    if found is None:
        return None
    return (found, "the system keyring") if noted is not None else _settle_on_keyring(path, found)


def _make_key(path: Path) -> tuple[bytes, str]:
    """Make a key, unless another gateway has just made one."""
    try:
        with FileLock(f"{path}.lock", timeout=_LOCK_SECONDS, mode=0o600):
            if (found := _find_key(path)) is not None:
                return found
            if any(path.parent.glob(f"*{LOGIN_SUFFIX}")):
                raise ConfigError(_describe_loss(path, "the system keyring, if there is one, does not have it"))
            with suppress(_NoKeyring):
                if (key := _ask_keyring(Fernet.generate_key())) and (found := _settle_on_keyring(path, key)):
                    return found
            return _write_new_key(path)
    except Timeout:
        raise ConfigError(f"{path}: another gateway is about to make the key for OAuth tokens; try again") from None


def _describe_loss(path: Path, reason: str) -> str:
    return (
        f"{path.parent}: the key of the logins there cannot be found: {reason}; start or unlock the one that has it, "
        f"or {SET_KEY}; if it is lost, remove {path.name} and *{LOGIN_SUFFIX} from that folder, and log in again"
    )


def _settle_on_keyring(path: Path, key: bytes) -> tuple[bytes, str] | None:
    """Write down that the key is in the keyring; return what holds.

    A key file that another gateway has written meanwhile takes precedence.
    """
    try:
        write_file(path, [_IN_KEYRING, b"\n"], replace=False)
    except FileExistsError:
        return _find_key(path)
    except StorageError as error:
        log.warning("key file not written", extra={"reason": str(error)})
    return key, "the system keyring"


def _make_cipher(key: bytes, where: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        raise ConfigError(
            f"{where}: it must be 32 random bytes in URL-safe base64; this makes one: "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        ) from None


def _ask_keyring(new: bytes | None = None) -> bytes | None:
    """Return the key in the system keyring; None without one.

    A new key is stored there before, if one is given.

    Raises:
        _NoKeyring: none works on this machine.
        ConfigError: it does not open.

    """
    name_session_bus()
    try:
        import keyring
        from keyring.errors import KeyringLocked, NoKeyringError
    except ImportError:
        raise _NoKeyring from None
    try:
        if new is not None:
            keyring.set_password(_SERVICE, _ACCOUNT, new.decode())
        # Read back, because some backends store nothing.
        found = keyring.get_password(_SERVICE, _ACCOUNT)
    except NoKeyringError:
        raise _NoKeyring from None
    except KeyringLocked:
        raise ConfigError(f"the system keyring is locked: unlock it, or {SET_KEY}") from None
    except Exception as error:  # noqa: BLE001  # a foreign library with foreign backends
        reason = type(error).__name__  # its words may have what it keeps
        raise ConfigError(
            f"the system keyring does not open ({reason}): see whether it is running, unlock it, or {SET_KEY}"
        ) from None
    return found.encode() if found else None


def _write_new_key(path: Path) -> tuple[bytes, str]:
    """Create a key in a new file.

    If there is one by now, what it says holds.
    """
    key = Fernet.generate_key()
    try:
        write_file(path, [key], replace=False)
    except FileExistsError:
        if (found := _find_key(path)) is None:
            raise ConfigError(_describe_loss(path, "the system keyring does not have it")) from None
        return found
    except StorageError as error:
        raise ConfigError(f"the key for OAuth tokens cannot be kept: {error}") from None
    return key, str(path)
