"""Secrets in the system keyring, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mcp_gateway.plugin import VariableError, name_session_bus
from mcp_gateway_variables_keyring.names import add_name, list_names, remove_name

ResultT = TypeVar("ResultT")

_SERVICE = "mcp-orchestration-gateway secrets"
"""A service of its own.

A configuration must not reach what other programs keep, nor the key that encrypts logins.
"""

_NOBODYS = "(none)"
"""A name that no secret has."""

_MISSING = (
    "there is no system keyring that works here; start one, such as GNOME Keyring or KWallet, or name one with "
    "PYTHON_KEYRING_BACKEND"
)
_SENTENCES = {
    "NoKeyringError": _MISSING,
    "InitError": "the system keyring does not open; see whether it is running, unlock it, then try again",
    "KeyringLocked": "the system keyring is locked; unlock it, then try again",
    "PasswordSetError": "the system keyring cannot keep it; it may be too long for this system",
    "PasswordDeleteError": "the system keyring does not remove it; remove it with the system's own program",
}
"""What to do about the errors of the library, by the names of their classes."""


def read_secret(name: str) -> str | None:
    """Return a secret; None if there is none.

    Raises:
        VariableError: the keyring cannot answer.

    """
    return _ask(lambda: _get(name))


def write_secret(name: str, value: str) -> None:
    """Keep a secret.

    Raises:
        VariableError: the keyring cannot keep it.

    """

    def write() -> None:
        import keyring

        keyring.set_password(_SERVICE, name, value)

    _ask(write)
    add_name(name)


def remove_secret(name: str) -> bool:
    """Remove a secret; return whether there was one.

    Raises:
        VariableError: the keyring cannot remove it.

    """

    def remove() -> bool:
        import keyring

        if _get(name) is None:
            return False
        keyring.delete_password(_SERVICE, name)
        return True

    was_there = _ask(remove)
    remove_name(name)
    return was_there


def list_secrets() -> list[str]:
    """Return the names of the secrets, in order.

    A keyring cannot be asked for names: what another program has removed is left out.

    Raises:
        VariableError: the keyring cannot answer.

    """
    names = list_names()
    if not names:
        check_keyring()
    return [name for name in names if read_secret(name) is not None]


def check_keyring() -> None:
    """Ask the keyring for something that it does not have.

    Raises:
        VariableError: the keyring cannot answer.

    """
    read_secret(_NOBODYS)


def _get(name: str) -> str | None:
    import keyring

    found: str | None = keyring.get_password(_SERVICE, name)
    return found


def _ask(function: Callable[[], ResultT]) -> ResultT:
    """Call a function that uses the keyring; explain its failure.

    The words of a keyring are not repeated: they may hold what it was given.
    """
    name_session_bus()
    try:
        return function()
    except Exception as error:  # noqa: BLE001  # a foreign library with foreign backends
        raise VariableError(_explain(error)) from None


def _explain(error: Exception) -> str:
    """Return one sentence on a failure of the keyring."""
    found = next((sentence for kind in type(error).__mro__ if (sentence := _SENTENCES.get(kind.__name__))), None)
    return found or f"the system keyring has failed: {type(error).__name__}; see whether it is running and unlocked"
