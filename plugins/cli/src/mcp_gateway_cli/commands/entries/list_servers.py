"""`list`: the servers of the file, without starting any."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mcp_gateway.config.server_spec import NOT_USED
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import complain_error
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.text.hints import NO_SERVERS
from mcp_gateway_cli.entries.server_file import open_entries
from mcp_gateway_cli.output.tables import show_table
from mcp_gateway_cli.secrets.masks import mask_arguments

Json = dict[str, Any]

_UNREADABLE: Json = {"kind": "url", "target": "(a URL that cannot be read)"}


def run(context: ControlContext, arguments: Namespace) -> int:
    """Print each entry: name, whether it is on, how it is reached."""
    held = open_entries(context)
    chosen = held.entries if arguments.name is None else (held.find(arguments.name),)
    servers = [{"name": entry.name, "enabled": entry.is_on, **describe_target(entry.settled)} for entry in chosen]
    disabled = [server for server in context.servers.disabled if not server.on_purpose]
    if arguments.name is not None:
        disabled = [server for server in disabled if server.name == chosen[0].name]
    problems = [f"server {server.name!r} is {NOT_USED}: {server.reason}" for server in disabled]
    if arguments.json:
        show_json({"file": str(held.path), "servers": servers, "problems": problems})
        return 0
    if servers:
        show_table(("server", "", "reached by"), [_row(server) for server in servers], whole=("reached by",))
    else:
        show(NO_SERVERS)
    show(f"in {held.path}")
    complain_error(*problems)
    return 0


def describe_target(keys: Mapping[str, Any]) -> Json:
    """Describe how a server is reached, without what may be secret.

    Values of the environment and of headers are left out, as are user, query and fragment of a URL.
    """
    url = next((str(keys[key]) for key in ("url", "serverUrl", "httpUrl", "uri") if keys.get(key)), "")
    if url:
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return _UNREADABLE
        if not parts.scheme:
            return _UNREADABLE
        return {"kind": "url", "target": f"{parts.scheme}://{host}{port}{parts.path}"}
    command, more = keys.get("command", keys.get("cmd", "")), keys.get("args", ())
    program = command if isinstance(command, list) else [command] if isinstance(command, str) else []
    words = [*program, *(more if isinstance(more, list) else [])]
    return {"kind": "command", "target": " ".join(map(str, mask_arguments(words)))}


def _row(server: Json) -> tuple[str, str, str]:
    return server["name"], "" if server["enabled"] else "off", server["target"]
