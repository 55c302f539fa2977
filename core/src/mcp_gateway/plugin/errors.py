"""The errors that the gateway and its plugins raise on purpose.

* GatewayError
  x ConfigError
    + PluginError
    + VariableError
  x QueryError
  x AuthError
    + LoginRequired
  x ServerUnavailable
    + RequestNotSent
    + ConnectionDropped
    + ServerTimeout
  x StorageError
* UsageError
"""

from __future__ import annotations

from typing import ClassVar


class GatewayError(Exception):
    """Base of every error that is raised on purpose.

    The message is shown to people and models: it names what failed, the alternatives and the remedy, and never
    contains a secret. `code` is the stable short name of the error.
    """

    code: ClassVar[str] = "error"


class ConfigError(GatewayError):
    """An invalid configuration; the message names key and reason."""

    code = "invalid_configuration"


class PluginError(ConfigError):
    """The configuration names a plugin that is missing, broken or ambiguous."""

    code = "plugin_missing"


class VariableError(ConfigError):
    """A source of variables that cannot answer; the message says why."""

    code = "variable_unavailable"


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
    """A downstream server is unreachable, or closed the connection.

    `permanent` means that an immediate retry is pointless: the command does not exist, for example, as opposed to a
    refused connection.
    """

    code = "server_unavailable"

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        """Set the message; `permanent` if an immediate retry cannot help."""
        super().__init__(message)
        self.permanent = permanent


class RequestNotSent(ServerUnavailable):
    """A request of which no byte reached the server; it is retried.

    Raise it only if that is certain, and never for a response that cannot be parsed: the request was executed then.
    """


class ConnectionDropped(ServerUnavailable):
    """A connection lost during a request, with unknown outcome.

    The server may or may not have executed the request.
    """


class ServerTimeout(ServerUnavailable):
    """A downstream server did not answer in time."""

    code = "timeout"


class StorageError(GatewayError):
    """A failure of the storage backend."""

    code = "storage_unavailable"


class UsageError(Exception):
    """A wrong command line: what is wrong, and what to type.

    A command that raises it ends with the exit code 2, and has done nothing.
    """

    code: ClassVar[str] = "usage"
