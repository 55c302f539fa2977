"""`plugins`: installed, selected and faulty plugins."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mcp_gateway.config.forms.entry_file import read_entry_file
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.plugin import API_VERSION, ConfigError
from mcp_gateway.plugin_host.loader import Origin
from mcp_gateway.plugin_host.providers import EVERYTHING


def run(context: ControlContext, arguments: Namespace) -> int:
    """Print the plugins; return 0 if all of them work."""
    installed = _list_plugins(context)
    broken = [{**_origin(fault.origin), "reason": fault.reason} for fault in context.providers.faults]
    left_out = [_origin(origin) for origin in context.plugins.left_out]
    if arguments.json:
        show_json({"api_version": API_VERSION, "installed": installed, "broken": broken, "left_out": left_out})
    else:
        _print(installed, broken, left_out)
    return 1 if broken else 0


def _list_plugins(context: ControlContext) -> list[dict[str, Any]]:
    selected = _find_selected(context)
    return [
        {
            "kind": shelf.kind,
            "name": name,
            "summary": provider.summary,
            "selected": (shelf.kind, name) in selected,
            **_origin(shelf.origins[name]),
        }
        for shelf in context.providers.shelves
        for name, provider in sorted(shelf.providers.items())
    ]


def _find_selected(context: ControlContext) -> set[tuple[str, str]]:
    """Return kind and name of each plugin that the configuration selects.

    A server file that cannot be read selects none.
    """
    environment, providers = context.environment, context.providers
    chosen = {
        (providers.server_transports.kind, environment.server_transport),
        (providers.storage_backends.kind, environment.storage),
        (providers.rankers.kind, environment.ranker),
    }
    try:
        entries = [entry.keys for entry in read_entry_file(environment.server_config).entries]
    except ConfigError:
        entries = []
    for keys in entries:
        chosen.add((providers.client_transports.kind, str(keys["transport"])))
        chosen.add((providers.auth_strategies.kind, str(keys.get("auth_type", "none"))))
    return chosen


def _origin(origin: Origin) -> dict[str, str]:
    return {"plugin": origin.plugin, "distribution": origin.distribution, "version": origin.version}


def _print(installed: list[dict[str, Any]], broken: list[dict[str, Any]], left_out: list[dict[str, str]]) -> None:
    for item in installed:
        mark = "*" if item["selected"] else " "
        source = f"{item['plugin']} ({item['distribution']} {item['version']})"
        show(f"{mark} {item['kind']:<17} {item['name']:<10} {source:<52} {item['summary']}")
    for item in broken:
        show(f"! broken: {item['plugin']} ({item['distribution']} {item['version']}): {item['reason']}")
    for origin in left_out:
        show(f"- left out: {origin['plugin']} ({origin['distribution']} {origin['version']})")
    if installed:
        show("", "* selected by the configuration")
    else:
        show(f"no plugins are installed; for the default ones: {EVERYTHING}")
