"""`plugins`: list what is installed, show one, start a new one."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.entry_file import read_entry_file
from mcp_gateway.control.commands import collect_commands
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import describe_findings
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.plugin import API_VERSION, ConfigError, Provider, UsageError
from mcp_gateway.plugin_host.loader import Origin
from mcp_gateway.plugin_host.providers import EVERYTHING
from mcp_gateway.plugin_host.variable_sources import KIND
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.text.suggestions import suggest_with
from mcp_gateway_cli.output.tables import show_table
from mcp_gateway_cli.plugin_verbs import KINDS
from mcp_gateway_cli.verbs import VERBS

Json = dict[str, Any]

_COMMAND = "command"

_SELECTIONS = {
    "server transport": "GATEWAY_TRANSPORT={}, or serve --transport {}",
    "client transport": '"transport": "{}" in the entry of a server',
    "auth strategy": '"auth_type": "{}" in the entry of a server',
    "ranker": "GATEWAY_RANKER={}, or search --ranker {} for once",
    "storage backend": "STORAGE_BACKEND={}",
    KIND: "${{}:KEY} in the entry of a server",
    _COMMAND: "a command needs no selection",
}
"""How each kind is selected; {} is the plugin's name."""

_LISTED_AS = {
    "storage": "storage backend",
    "auth": "auth strategy",
    "client-transport": "client transport",
    "server-transport": "server transport",
    "variables": KIND,
}
"""How a kind of `plugins new` is listed, where that is another word."""


def run(context: ControlContext, arguments: Namespace) -> int:
    """Run the action that the first word names."""
    action, *words = arguments.words or ["list"]
    actions: dict[str, Callable[[ControlContext, Namespace, list[str]], int]] = {
        "list": _list,
        "info": _show_one,
        "new": _write_new,
    }
    if action not in actions:
        raise UsageError(
            f"there is no action {action!r}"
            f"{suggest_with(action, actions, 'it is one of: list, info NAME, new KIND NAME')}"
        )
    return actions[action](context, arguments, words)


def _list(context: ControlContext, arguments: Namespace, words: list[str]) -> int:
    """Print the plugins; return 0 if all of them work."""
    _expect(words, 0, "plugins list")
    installed = _list_plugins(context)
    broken = [{**_origin(fault.origin), "reason": fault.reason} for fault in context.providers.faults]
    left_out = [_origin(origin) for origin in context.plugins.left_out]
    if arguments.json:
        show_json(
            {
                "api_version": API_VERSION,
                "installed": installed,
                "broken": broken,
                "left_out": left_out,
                **describe_findings(broken, "plugins that do not work"),
            }
        )
    else:
        _print(installed, broken, left_out)
    return 1 if broken else 0


def _list_plugins(context: ControlContext) -> list[Json]:
    selected = _find_selected(context)
    providers = [
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
    held = context.providers.variable_sources
    sources = [
        {
            "kind": KIND,
            "name": name,
            "summary": source.summary,
            "selected": (KIND, name) in selected,
            **_origin(held.origins[name]),
        }
        for name, source in sorted(held.sources.items())
    ]
    found = collect_commands(context.plugins, VERBS)
    commands = [
        {"kind": _COMMAND, "name": name, "summary": found.commands[name].summary, "selected": True, **_origin(origin)}
        for name, origin in sorted(found.origins.items())
    ]
    return [*providers, *sources, *commands]


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
        written = json.dumps(keys, default=str)
        chosen |= {(KIND, name) for name in providers.variable_sources.sources if f"${{{name}:" in written}
    return chosen


def _show_one(context: ControlContext, arguments: Namespace, words: list[str]) -> int:
    """Print what is known of a plugin, by any of its names."""
    (name,) = _expect(words, 1, "plugins info NAME")
    installed = _list_plugins(context)
    found = [item for item in installed if name in (item["name"], item["plugin"], item["distribution"])]
    if not found:
        names = sorted({item["name"] for item in installed})
        raise ConfigError(f"no plugin is called {name!r}{suggest_with(name, names, f'see: {NAME} plugins')}")
    described = [
        {**item, "select": _describe_selection(item), "options": _describe_options(context, item)} for item in found
    ]
    if arguments.json:
        show_json({"plugins": described})
        return 0
    for item in described:
        show(f"{item['name']} ({item['kind']}): {item['summary']}")
        show(f"  from {item['plugin']} ({item['distribution']} {item['version']})")
        selection = (
            "the configuration selects it" if item["selected"] else f"not selected; to select it: {item['select']}"
        )
        show(f"  {selection}")
        for option in item["options"]:
            default = "required" if option["default"] is None else f"default {option['default']}"
            show(f"  {option['key']} ({default}): {option['description']}")
    return 0


def _describe_selection(item: Json) -> str:
    """Describe what makes the configuration select a plugin."""
    return _SELECTIONS[item["kind"]].replace("{}", item["name"])


def _describe_options(context: ControlContext, item: Json) -> list[Json]:
    shelf = next((shelf for shelf in context.providers.shelves if shelf.kind == item["kind"]), None)
    if shelf is None:
        return []
    provider: Provider[Any, Any] = shelf.providers[item["name"]]
    return [
        {
            "key": info.alias or name,
            "description": info.description or "",
            "default": None if info.is_required() else str(info.get_default(call_default_factory=True)),
        }
        for name, info in provider.options.model_fields.items()
    ]


def _write_new(context: ControlContext, arguments: Namespace, words: list[str]) -> int:
    """Write a plugin that works, to start from."""
    from mcp_gateway_cli.template import TemplateError, write_plugin
    from mcp_gateway_cli.template.installers import Environment

    kind, name = _expect(words, 2, f"plugins new KIND NAME, with a kind of: {', '.join(KINDS)}")
    if kind not in KINDS:
        kinds = f"kinds: {', '.join(KINDS)}"
        raise UsageError(f"there is no kind {kind!r}{suggest_with(kind, KINDS, kinds)}")
    if name in _list_names(context, kind):
        listed = _LISTED_AS.get(kind, kind)
        raise ConfigError(f"{name!r} is taken: there is the {listed} {name!r} already; choose another name")
    try:
        folder = write_plugin(kind, name, Path(arguments.into))
    except TemplateError as error:
        raise ConfigError(str(error)) from None
    environment = Environment.find()
    install, test = environment.install_command(folder), environment.test_command(folder)
    if arguments.json:
        show_json({"folder": str(folder), "kind": kind, "name": name, "install": install, "test": test})
        return 0
    show(f"wrote {folder}; to install it where this gateway runs:", f"  {install}")
    if not environment.has_testkit:
        show(
            "its tests need mcp-gateway-testkit: the folder tests/kit of the gateway's sources; to install it as well, "
            "with the path of that folder for TESTKIT:",
            f"  {environment.install_tests_command(folder)}",
        )
    show("to run its tests:", f"  {test}")
    return 0


def _list_names(context: ControlContext, kind: str) -> set[str]:
    """Return the names that select something of a kind already."""
    if kind == _COMMAND:
        return {*collect_commands(context.plugins, VERBS).commands}
    listed = _LISTED_AS.get(kind, kind)
    reserved = {"none"} if kind == "auth" else set()
    return reserved | {item["name"] for item in _list_plugins(context) if item["kind"] == listed}


def _expect(words: list[str], count: int, usage: str) -> list[str]:
    if len(words) != count:
        raise UsageError(f"it is: {NAME} {usage}")
    return words


def _origin(origin: Origin) -> dict[str, str]:
    return {"plugin": origin.plugin, "distribution": origin.distribution, "version": origin.version}


def _print(installed: list[Json], broken: list[Json], left_out: list[dict[str, str]]) -> None:
    if installed:
        show_table(("", "kind", "name", "from", "summary"), [_row(item) for item in installed])
    for item in broken:
        show(f"! broken: {item['plugin']} ({item['distribution']} {item['version']}): {item['reason']}")
    for origin in left_out:
        show(f"- left out: {origin['plugin']} ({origin['distribution']} {origin['version']})")
    if installed:
        show("", "* selected by the configuration")
    else:
        show(f"no plugins are installed; for the default ones: {EVERYTHING}")


def _row(item: Json) -> tuple[str, ...]:
    return "*" if item["selected"] else "", item["kind"], item["name"], item["plugin"], item["summary"]
