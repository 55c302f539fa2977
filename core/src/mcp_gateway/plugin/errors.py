"""The errors that the gateway and its plugins raise on purpose.

* GatewayError
  x ConfigError
    + PluginError
  x QueryError
  x AuthError
    + LoginRequired
  x ServerUnavailable
    + RequestNotSent
    + ConnectionDropped
    + ServerTimeout
  x StorageError
"""

from __future__ import annotations

from typing import ClassVar


class GatewayError(Exception):
    """Base of every error that is raised on purpose.

    The message is shown to people and models: it names the thing, says what there
    is and what to do, and never holds a secret. `code` is its stable short name.
    """

    code: ClassVar[str] = "error"


class ConfigError(GatewayError):
    """An invalid configuration; the message names key and reason."""

    code = "invalid_configuration"


class PluginError(ConfigError):
    """The configuration names a plugin that is missing, broken or ambiguous."""

    code = "plugin_missing"


class QueryError(GatewayError):
    """A query that the ranker cannot parse."""

    code = "invalid_pattern"


class AuthError(GatewayError):
    """Missing or rejected credentials."""

    code = "unauthorized"


class LoginRequired(AuthError):
    """A required login; `url` is the login link.

    A person has to log in before the server can be used. The link is shown to people and models.
    """

    code = "login_needed"

    def __init__(self, url: str, message: str = "") -> None:
        """Set the login link, with an optional message."""
        super().__init__(message or f"it needs a login: open {url} in a browser, then try again")
        self.url = url


class ServerUnavailable(GatewayError):
    """A downstream server cannot be reached, or went away.

    `permanent` means that trying again at once is pointless: a command that does not
    exist, say, rather than a connection that was refused.
    """

    code = "server_unavailable"

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        """Say what happened; `permanent` if an immediate retry cannot help."""
        super().__init__(message)
        self.permanent = permanent


class RequestNotSent(ServerUnavailable):
    """No byte of a request has reached the server: it is retried.

    Nothing else is `RequestNotSent`; above all no answer that is not understood.
    """


class ConnectionDropped(ServerUnavailable):
    """A connection lost during a request, with unknown outcome.

    The server may or may not have carried the request out.
    """


class ServerTimeout(ServerUnavailable):
    """A downstream server gave no answer in time."""

    code = "timeout"


class StorageError(GatewayError):
    """A storage backend failed."""

    code = "storage_unavailable"
