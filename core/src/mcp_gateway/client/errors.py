"""Errors of sessions: the cause, the server and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from mcp.shared.exceptions import MCPError

from mcp_gateway.loops.errors import GatewayLoop
from mcp_gateway.plugin import (
    AuthError,
    ConnectionDropped,
    Credentials,
    GatewayError,
    LoginRequired,
    RequestNotSent,
    ServerUnavailable,
    TransportFault,
)
from mcp_gateway.protocol.envelope import ServerError
from mcp_gateway.text.hints import BRING_CREDENTIALS, CHECK_HEADERS

_ASKING_TO_WAIT = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

NOBODY_KNOWS = "; whether the request was carried out is not known"


class RequestRejected(ServerUnavailable):
    """A request that a reachable server rejected or answered unreadably."""


class CredentialsRejected(AuthError):
    """Rejected credentials; `status` is the HTTP status.

    `challenge` is the `WWW-Authenticate` header of the response, if there was one.
    """

    def __init__(self, message: str, status: int | None = None, challenge: str = "") -> None:
        """Say what happened."""
        super().__init__(message)
        self.status, self.challenge = status, challenge


class SessionLost(ServerUnavailable):
    """The server no longer knows the session.

    `is_certain` means that the request was certainly not executed.
    """

    def __init__(self, message: str, *, is_certain: bool = True) -> None:
        """Say what happened."""
        super().__init__(message)
        self.is_certain = is_certain


class AskedToWait(ServerUnavailable):
    """The server is overloaded; try again in `seconds`."""

    def __init__(self, message: str, seconds: float) -> None:
        """Say what happened."""
        super().__init__(message)
        self.seconds = seconds


class RateLimited(AskedToWait, RequestRejected):
    """The server is reachable, but limits the rate of this caller."""


class NoLongerConfigured(ServerUnavailable):
    """A server that was removed or changed in the configuration."""

    def __init__(self, server: str) -> None:
        """Name the server."""
        super().__init__(
            f"server {server!r} was just removed or changed in the configuration; try again", permanent=True
        )


class StillStarting(ServerUnavailable):
    """A server that a request did not see start in its time."""

    code = "starting"

    def __init__(self, server: str, line: str, waited: str) -> None:
        """Quote the server's last `line`; `waited` says for how long."""
        super().__init__(f"server {server!r} is starting{f': {line}' if line else ''}; {waited}; try again in a moment")


def error_of_exception(server: str, error: BaseException, credentials: Credentials | None = None) -> GatewayError:
    """Convert an exception of a session into a gateway error.

    The exception ended the session or kept it from opening; the error names the server. `credentials` are
    those that it sends, if that is known.

    Notes that transports add to their exceptions are kept, such as the last stderr lines of a process.
    """
    leaf = leaf_of(error)
    notes = notes_of(error)
    if isinstance(leaf, MCPError):
        answer = error_of_answer(server, leaf, notes, credentials)
        return _without_unknown_outcome(answer) or RequestRejected(
            f"server {server!r} refused to open a session: {leaf.message} ({leaf.code}){notes}"
        )
    if isinstance(leaf, RequestNotSent):
        return ServerUnavailable(f"{explain_unsent(server, leaf)}{notes}", permanent=leaf.permanent)
    if isinstance(leaf, ServerUnavailable):
        plain = ServerUnavailable(f"server {server!r} is not available: {leaf}{notes}", permanent=leaf.permanent)
        return GatewayLoop(leaf.reason, server) if isinstance(leaf, GatewayLoop) else plain
    # Before GatewayError, its base class: its constructor needs the login link, too.
    if isinstance(leaf, LoginRequired):
        return LoginRequired(leaf.url, f"server {server!r}: {leaf}{notes}")
    if isinstance(leaf, GatewayError):
        return type(leaf)(f"server {server!r}: {leaf}{notes}")
    cause = f"{type(leaf).__name__}: {leaf}".rstrip(": ")
    return ServerUnavailable(f"server {server!r} is not available: {cause}{notes}")


def error_of_answer(
    server: str, error: MCPError, notes: str = "", credentials: Credentials | None = None
) -> GatewayError | None:
    """Convert a transport's error response into a gateway error.

    None if the error came from the server itself.
    """
    # A server's own error may have any code, also one of a transport's.
    if isinstance(error, ServerError):
        return None
    match error.code:
        case TransportFault.UNREACHABLE | TransportFault.UNSUPPORTED:
            return _error_of_fault(f"server {server!r} cannot be reached: {error.message}", error.error.data, notes)
        case TransportFault.UNAUTHORIZED:
            outcome, hint = "refused the credentials", CHECK_HEADERS
            if credentials == Credentials():
                outcome, hint = "wants credentials", BRING_CREDENTIALS
            message = f"server {server!r} {outcome}: {error.message}; {hint.for_models}{notes}"
            return CredentialsRejected(message, _status_of(error), _challenge_of(error))
        case TransportFault.SESSION_LOST:
            return _session_loss(server, error, notes)
    return None


def status_of_rejection(error: MCPError) -> int | None:
    """Return the HTTP status with which credentials were rejected.

    None if the error says something else.
    """
    is_rejection = not isinstance(error, ServerError) and error.code == TransportFault.UNAUTHORIZED
    return _status_of(error) if is_rejection else None


def explain_unsent(server: str, error: RequestNotSent) -> str:
    """Name the server that no byte of a request reached."""
    return f"server {server!r} cannot be reached: {error}"


def _session_loss(server: str, error: MCPError, notes: str) -> SessionLost:
    """Return the error of a lost session; only 404 is certain.

    404 is the only status that guarantees that nothing was executed (2025-11-25, "Session Management"); other
    responses that mean a lost session may come after the request was executed.
    """
    message = f"server {server!r} has lost the session: {error.message}{notes}"
    if _status_of(error) in (None, HTTPStatus.NOT_FOUND):
        return SessionLost(message)
    advice = "it is sent again only if its tool is readOnlyHint or idempotentHint; the next call gets a new session"
    return SessionLost(f"{message}{NOBODY_KNOWS}: {advice}", is_certain=False)


def _status_of(error: MCPError) -> int | None:
    status = error.error.data.get("status") if isinstance(error.error.data, dict) else None
    return status if isinstance(status, int) else None


def _challenge_of(error: MCPError) -> str:
    challenge = error.error.data.get("challenge") if isinstance(error.error.data, dict) else None
    return challenge if isinstance(challenge, str) else ""


def _without_unknown_outcome(failure: GatewayError | None) -> GatewayError | None:
    """Drop the unknown-outcome warning while a session is opened.

    No request can have been executed then.
    """
    if isinstance(failure, RequestNotSent | ConnectionDropped):
        return ServerUnavailable(str(failure).removesuffix(NOBODY_KNOWS))
    return failure


def _error_of_fault(message: str, data: object, notes: str) -> ServerUnavailable:
    """Distinguish requests that were unsent, unanswered or rejected.

    The error data of the transport has `sent` and the HTTP `status`.
    """
    known = data if isinstance(data, dict) else {}
    status, wait = known.get("status"), known.get("retryAfter")
    if known.get("sent") is False:
        return RequestNotSent(f"{message}{notes}")
    # Without a status there was no response, so whether the request was executed is unknown.
    if not isinstance(status, int):
        return ConnectionDropped(f"{message}{notes}{NOBODY_KNOWS}")
    asked = f"; it asks to wait (Retry-After: {str(wait)[:40]})" if wait else ""
    if status in _ASKING_TO_WAIT and (seconds := _seconds(wait)) is not None:
        limited = status == HTTPStatus.TOO_MANY_REQUESTS
        return (RateLimited if limited else AskedToWait)(f"{message}{asked}{notes}", seconds)
    return (ServerUnavailable if status >= HTTPStatus.INTERNAL_SERVER_ERROR else RequestRejected)(
        f"{message}{asked}{notes}"
    )


def _seconds(wait: object) -> float | None:
    """Parse a Retry-After header (RFC 9110, section 10.2.3) to seconds.

    Its value is a number of seconds or a date.
    """
    value = str(wait).strip() if wait is not None else ""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    # A date with "-0000" parses without a zone (RFC 5322, section 3.3); HTTP dates are always GMT.
    then = then if then.tzinfo is not None else then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())


def leaf_of(error: BaseException) -> BaseException:
    """Return the first real error inside nested exception groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def notes_of(error: BaseException) -> str:
    """Return the notes on an exception, to be appended to a message."""
    return "".join(f"; {note}" for note in _notes(error))


def _notes(error: BaseException) -> Iterator[str]:
    yield from getattr(error, "__notes__", ())
    if isinstance(error, BaseExceptionGroup):
        yield from _notes(error.exceptions[0])
