"""The verbs that edit the file of servers, with their arguments."""

from __future__ import annotations

from dataclasses import replace

from mcp_gateway.plugin import Argument, Command
from mcp_gateway_cli.entries.new_entry import TRANSPORTS

_COMMANDS = "mcp_gateway_cli.commands.entries"
_NAME = Argument(names=("name",), help="the server's name", metavar="NAME")


def _name(values: str) -> Argument:
    return replace(_NAME, values=values)


ENTRY_VERBS = (
    Command(
        name="add",
        summary="try a server, and add it to the file of servers",
        run=f"{_COMMANDS}.add:run",
        arguments=(
            _NAME,
            Argument(
                names=("target",),
                help="a URL, or after -- a command with its arguments",
                metavar="URL",
                takes_many=True,
                values="files",
            ),
            Argument(
                names=("-t", "--transport"),
                help="stdio, http or sse (default: by what follows)",
                metavar="KIND",
                choices=TRANSPORTS,
            ),
            Argument(names=("-e", "--env"), help="a variable of its environment", metavar="KEY=VALUE", takes_many=True),
            Argument(names=("-H", "--header"), help="a header to send it", metavar="'NAME: VALUE'", takes_many=True),
            Argument(
                names=("--auth-type",), help="how it gets credentials: oauth for a login in a browser", metavar="KIND"
            ),
            Argument(names=("--force",), help="replace a server of that name", is_flag=True),
            Argument(names=("--no-try",), help="add it without starting it first", is_flag=True),
        ),
        has_json=True,
        examples=(
            "add time -- uvx mcp-server-time",
            "add github https://api.githubcopilot.com/mcp/ -H 'Authorization: Bearer ${GITHUB_TOKEN}'",
            "add crm https://crm.example.com/mcp --auth-type oauth",
            "add db -e DATABASE_URL=postgres://localhost/app -- npx -y some-db-server",
        ),
    ),
    Command(
        name="remove",
        summary="take a server out of the file of servers",
        run=f"{_COMMANDS}.change:run_remove",
        arguments=(_name("servers"),),
        has_json=True,
        needs_sdk=False,
        examples=("remove time",),
    ),
    Command(
        name="enable",
        summary="enable a server",
        run=f"{_COMMANDS}.change:run_enable",
        arguments=(_name("servers that are off"),),
        has_json=True,
        needs_sdk=False,
        examples=("enable time",),
    ),
    Command(
        name="disable",
        summary="disable a server, and keep its entry",
        run=f"{_COMMANDS}.change:run_disable",
        arguments=(_name("servers that are on"),),
        has_json=True,
        needs_sdk=False,
        examples=("disable time",),
    ),
    Command(
        name="list",
        summary="list the servers of the file, without starting any",
        run=f"{_COMMANDS}.list_servers:run",
        arguments=(
            Argument(names=("name",), help="this server only", metavar="NAME", is_optional=True, values="servers"),
        ),
        has_json=True,
        needs_sdk=False,
        examples=("list", "list --json"),
    ),
)
