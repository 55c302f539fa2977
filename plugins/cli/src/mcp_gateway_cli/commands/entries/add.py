"""`add`: put a server into the file of servers."""

from __future__ import annotations

from argparse import Namespace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import describe_failure
from mcp_gateway.control.terminal import complain, show, show_json
from mcp_gateway.control.trials import Trial, try_servers
from mcp_gateway.plugin import ConfigError
from mcp_gateway_cli.clients.trial import resolve_servers
from mcp_gateway_cli.entries.new_entry import Json, make_entry, to_client_form
from mcp_gateway_cli.entries.server_file import open_entries
from mcp_gateway_cli.output.progress import Progress


def run(context: ControlContext, arguments: Namespace) -> int:
    """Add the server and try it; return the exit code.

    It is 1 if the server does not work. It stays in the file then: what is missing may be mended at the server's side.
    """
    name = arguments.name
    entry = make_entry(name, arguments.target, arguments.transport, arguments.env or (), arguments.header or ())
    held = open_entries(context)
    if held.get(name) is not None and not arguments.force:
        raise ConfigError(f"{held.path} has a server {name!r} already; --force replaces it, remove takes it out")
    file = resolve_servers(context, [{"name": name, **entry}], held.path)
    for server in file.disabled:
        raise ConfigError(f"server {name!r}: {server.reason}")
    held.save(held.add(name, entry if held.is_native else to_client_form(entry)), f"add {name}")
    trial: Trial | None = None
    if not arguments.no_try:
        with Progress(f"trying {name}"):
            (trial,) = try_servers(context, file) or (None,)
    _report(name, str(held.path), trial, as_json=arguments.json)
    return 0 if trial is None or trial.ok else 1


def _report(name: str, path: str, trial: Trial | None, *, as_json: bool) -> None:
    if as_json:
        tried: Json | None = None
        if trial is not None:
            tried = {"ok": trial.ok, "tools": trial.tools, "reason": trial.reason, "seconds": round(trial.seconds, 1)}
        failure = (
            {} if trial is None or trial.ok else describe_failure(trial.error_code or "trial_failed", trial.reason)
        )
        show_json({"added": name, "file": path, "trial": tried, **failure})
        return
    show(f"added {name} to {path}; a running gateway takes it over within some seconds")
    if trial is None:
        return
    if trial.ok:
        show(trial.line)
    else:
        complain(f"it does not work yet: {trial.reason}", f"take it out again: mcp-orchestration-gateway remove {name}")
