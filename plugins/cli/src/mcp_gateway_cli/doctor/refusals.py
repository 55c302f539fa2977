"""Findings on servers that fail: what they say, and the mend."""

from __future__ import annotations

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.control.trials import Trial
from mcp_gateway.plugin import AuthError, LoginRequired, ServerTimeout
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.doctor.finding import Finding, report_error, split_mend, warn

_PROCESS_ENDS = ("its process ended with ", "its process was ended by ")
_LAST_WORDS = "it last wrote to standard error: "


def describe_failure(spec: ServerSpec, trial: Trial) -> Finding:
    """Return the finding on a server that failed, by what it said."""
    if trial.is_loop:
        mend = f"remove {spec.name!r} from the file of servers"
        return warn("gateway-loop", spec.name, _cut_name(spec, trial), mend)
    if trial.error_code == LoginRequired.code:
        return report_error("login-needed", spec.name, "it wants a login", f"{NAME} login {spec.name}")
    if trial.error_code == AuthError.code:
        return _describe_refused_credentials(spec, trial)
    if any(words in trial.reason for words in _PROCESS_ENDS):
        return _describe_end(spec, trial)
    message, mend = split_mend(_cut_name(spec, trial))
    if trial.error_code == ServerTimeout.code:
        advice = mend or 'look at its log; a first start may take long, as it downloads: see "start_timeout"'
        return report_error("server-slow", spec.name, message, advice)
    return report_error("server-fails", spec.name, message, mend or "look at the server's own log")


def _describe_refused_credentials(spec: ServerSpec, trial: Trial) -> Finding:
    message, _ = split_mend(_cut_name(spec, trial))
    name = spec.auth.name if spec.auth is not None else "none"
    mends = {
        "none": (
            f'set "auth_type": "oauth" in its entry, then: {NAME} login {spec.name}; or, with a token, '
            '"auth_type": "static" and "auth_headers": {"Authorization": "Bearer ${TOKEN}"}'
        ),
        "static": 'the token in its "auth_headers" is wrong or has expired: make a new one there',
        "forward": f"each client sends its own credentials, to the gateway over HTTP: {NAME} serve --transport http",
        "oauth": f"log in again: {NAME} login {spec.name}",
    }
    return report_error("credentials-refused", spec.name, message, mends.get(name, "correct its credentials"))


def _describe_end(spec: ServerSpec, trial: Trial) -> Finding:
    """Describe a process that ended, by what it last wrote."""
    parts = _cut_name(spec, trial).split("; ")
    ended = next(part for part in parts if part.startswith(_PROCESS_ENDS))
    words = trial.reason.partition(_LAST_WORDS)[2].strip()
    last = f"; it last wrote: {words}" if words else ", and wrote nothing to standard error"
    mend = "do what it says there; the command is started without a shell, and with few variables of yours"
    silent = 'run its command by hand in a terminal; variables that it needs belong into "env"'
    return report_error("command-ends", spec.name, f"{ended}{last}", mend if words else silent)


def _cut_name(spec: ServerSpec, trial: Trial) -> str:
    """Return a reason without the server's name, which is the subject."""
    reason = trial.reason.removeprefix(f"server {spec.name!r} ").removeprefix(f"server {spec.name!r}: ")
    return reason.removeprefix("is not available: ")
