"""The verb for plugins, and the kinds that it can write."""

from __future__ import annotations

from collections.abc import Mapping

from mcp_gateway.plugin import Argument, Command

KINDS: Mapping[str, str] = {
    "ranker": "decides which tools fit the words of a search",
    "storage": "keeps definitions of tools, for one gateway or several",
    "auth": "says which credentials a server is sent",
    "client-transport": "reaches servers in another way",
    "server-transport": "lets clients reach the gateway in another way",
    "variables": "gives the values of ${name:KEY} in entries",
    "command": "adds a verb to this command line",
}
"""What `plugins new` writes, and what each is for."""

PLUGINS = Command(
    name="plugins",
    summary="list installed plugins, show one, or create a new one",
    run="mcp_gateway_cli.commands.plugins:run",
    arguments=(
        Argument(
            names=("words",),
            help="list (the default), info NAME, or new KIND NAME",
            metavar="ACTION",
            takes_many=True,
            values="plugin words",
        ),
        Argument(
            names=("--into",),
            help="where the folder of a new one is made (default: here)",
            metavar="DIR",
            values="folders",
            default=".",
        ),
    ),
    has_json=True,
    needs_sdk=False,
    notes=("kinds of `plugins new KIND NAME`:", *(f"  {kind:<17} {what}" for kind, what in KINDS.items())),
    examples=("plugins", "plugins info bm25", "plugins new ranker my-ranker"),
)
