"""`add`: put a server into the file of servers."""

from __future__ import annotations

from argparse import Namespace

from mcp_gateway.config.server_file import ServerFile
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import complain_error, describe_failure
from mcp_gateway.control.terminal import complain, show, show_json
from mcp_gateway.control.trials import Trial, find_longest_seconds, try_servers
from mcp_gateway.plugin import ConfigError, LoginRequired
from mcp_gateway_cli.clients.trial import resolve_servers, shorten_reason
from mcp_gateway_cli.editing.files import check_writable
from mcp_gateway_cli.entries.new_entry import Json, make_entry, to_client_form
from mcp_gateway_cli.entries.server_file import EntryFile, open_entries
from mcp_gateway_cli.output.progress import Progress


def run(context: ControlContext, arguments: Namespace) -> int:
    """Try the server and add it; return the exit code.

    It is 1 if the server does not work: it is left out then, as by `init` and `import`.
    """
    name = arguments.name
    entry = make_entry(
        name,
        arguments.target,
        arguments.transport,
        env=arguments.env or (),
        headers=arguments.header or (),
        auth_type=arguments.auth_type,
    )
    held = _open_file(context, name, is_forced=arguments.force)
    check_writable(held.path)
    file = resolve_servers(context, [{"name": name, **entry}], held.path)
    unset = _check_usable(file, takes_unset=arguments.no_try)
    trial = None if arguments.no_try else _try(context, file, name, is_quiet=arguments.json)
    if trial is None or _is_taken(trial):
        # Anew: while it was tried, something else may have edited the file.
        held = _open_file(context, name, is_forced=arguments.force)
        held.save(held.add(name, entry if held.is_native else to_client_form(entry)), "add", name)
    _report(name, held, trial, as_json=arguments.json)
    complain(*(f"note: it cannot be used yet: {reason}" for reason in unset))
    return 0 if trial is None or _is_taken(trial) else 1


def _is_taken(trial: Trial) -> bool:
    """Whether a tried server is added; it may lack a login."""
    return trial.ok or trial.error_code == LoginRequired.code


def _check_usable(file: ServerFile, *, takes_unset: bool) -> list[str]:
    """Return which values are missing, if it may be added without them.

    Raises:
        ConfigError: it cannot be used as it is written.

    """
    for server in file.disabled:
        advice = "; --no-try adds it all the same" if server.lacks_value else ""
        if not (takes_unset and server.lacks_value):
            raise ConfigError(f"{server.name} is not added, because it cannot be used: {server.reason}{advice}")
    return [server.reason for server in file.disabled]


def _open_file(context: ControlContext, name: str, *, is_forced: bool) -> EntryFile:
    """Open the file of servers.

    Raises:
        ConfigError: it has a server of that name.

    """
    held = open_entries(context)
    if held.get(name) is not None and not is_forced:
        raise ConfigError(f"{held.path} has a server {name!r} already; --force replaces it, remove takes it out")
    return held


def _try(context: ControlContext, file: ServerFile, name: str, *, is_quiet: bool) -> Trial | None:
    seconds = max((find_longest_seconds(spec.time_limits) for spec in file.specs), default=0.0)
    text = f"trying {name}, for {seconds:g} s at most; Ctrl-C ends it, and adds nothing"
    with Progress(text, tells_pipe=not is_quiet):
        return next(iter(try_servers(context, file)), None)


def _report(name: str, held: EntryFile, trial: Trial | None, *, as_json: bool) -> None:
    if as_json:
        _show_json(name, str(held.path), trial)
    elif trial is None or _is_taken(trial):
        show(f"added {name} to {held.path}; {held.describe_readers()}")
        show(*([trial.line if trial.ok else trial.reason] if trial is not None else []))
    else:
        reason = shorten_reason(trial.reason, name)
        complain_error(f"{name} is not added, because it does not work: {reason}")
        complain("--no-try adds it all the same")


def _show_json(name: str, path: str, trial: Trial | None) -> None:
    tried: Json | None = None
    if trial is not None:
        tried = {"ok": trial.ok, "tools": trial.tools, "reason": trial.reason, "seconds": round(trial.seconds, 1)}
    if trial is None or _is_taken(trial):
        show_json({"added": name, "file": path, "trial": tried})
    else:
        failure = describe_failure(trial.error_code or "trial_failed", trial.reason)
        show_json({"added": None, "file": path, "trial": tried, **failure})
