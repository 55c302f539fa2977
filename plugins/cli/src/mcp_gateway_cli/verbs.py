"""The verbs of this distribution, with their arguments."""

from __future__ import annotations

from mcp_gateway.plugin import Argument, Command
from mcp_gateway_cli.client_verbs import CLIENT_VERBS
from mcp_gateway_cli.completion.shells import INSTALLATION, SHELLS
from mcp_gateway_cli.entry_verbs import ENTRY_VERBS
from mcp_gateway_cli.plugin_verbs import PLUGINS

_COMMANDS = "mcp_gateway_cli.commands"


def _count(text: str) -> int:
    if not text.isdecimal() or (count := int(text)) < 1:
        raise ValueError("it must be a number, 1 or more")
    return count


def _process(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("it must be the number of a process; see: status")
    return int(text)


_GATEWAY = Argument(
    names=("--gateway",),
    help="the gateway with this process, if several run",
    metavar="PID",
    parse=_process,
    values="gateways",
)

SERVE = Command(
    name="serve",
    summary="serve clients (the default)",
    run=f"{_COMMANDS}.gateway.serve:run",
    arguments=(
        Argument(
            names=("--transport",),
            help="stdio, http or a plugin's (GATEWAY_TRANSPORT)",
            metavar="NAME",
            values="server transports",
        ),
        Argument(names=("--host",), help="the address to listen at (GATEWAY_HOST)", metavar="HOST"),
        Argument(names=("--port",), help="the port to listen at (GATEWAY_PORT)", metavar="PORT"),
    ),
    examples=("serve --transport http --port 8080",),
)

VERBS = (
    SERVE,
    Command(
        name="status",
        summary="describe the running gateways: clients, calls, servers",
        run=f"{_COMMANDS}.gateway.status:run",
        arguments=(_GATEWAY,),
        has_json=True,
        needs_sdk=False,
        examples=("status", "status --json"),
    ),
    Command(
        name="logs",
        summary="show the log of a running gateway, and what its servers write",
        run=f"{_COMMANDS}.gateway.logs:run",
        arguments=(
            Argument(
                names=("server",), help="of this server only", metavar="SERVER", is_optional=True, values="servers"
            ),
            Argument(names=("-f", "--follow"), help="keep printing new lines, until Ctrl-C", is_flag=True),
            _GATEWAY,
        ),
        has_json=True,
        needs_sdk=False,
        examples=("logs", "logs github -f"),
    ),
    Command(
        name="servers",
        summary="show the state of every server of the running gateways, and why",
        run=f"{_COMMANDS}.gateway.servers:run",
        arguments=(
            Argument(names=("--start",), help="start them for a look, without a gateway", is_flag=True),
            _GATEWAY,
        ),
        has_json=True,
        examples=("servers", "servers --start"),
    ),
    Command(
        name="tools",
        summary="list the tools of all servers, or of some",
        run=f"{_COMMANDS}.catalog.tools:run",
        arguments=(
            Argument(names=("names",), help="of these only", metavar="SERVER", takes_many=True, values="servers"),
            Argument(
                names=("--server",), help="the same; may be repeated", metavar="NAME", takes_many=True, values="servers"
            ),
        ),
        has_json=True,
        examples=("tools", "tools github"),
    ),
    Command(
        name="search",
        summary="find tools, as a model would",
        run=f"{_COMMANDS}.catalog.search:run",
        arguments=(
            Argument(names=("query",), help="what to look for", metavar="QUERY"),
            Argument(
                names=("--ranker",),
                help="how to rank: bm25, regex, hybrid or a plugin's",
                metavar="NAME",
                values="rankers",
            ),
            Argument(
                names=("--server",),
                help="of this server only; may be repeated",
                metavar="NAME",
                takes_many=True,
                values="servers",
            ),
            Argument(names=("--explain",), help="say why each tool was found", is_flag=True),
            Argument(names=("--max",), help="how many to show (default 5)", metavar="N", parse=_count, default=5),
        ),
        has_json=True,
        examples=('search "send an email"', 'search "^git" --ranker regex'),
    ),
    Command(
        name="describe",
        summary="show what a tool does, its arguments and its annotations",
        run=f"{_COMMANDS}.catalog.describe:run",
        arguments=(Argument(names=("tool",), help="the full name, server__tool", metavar="TOOL", values="tools"),),
        has_json=True,
        examples=("describe time__get_current_time",),
    ),
    Command(
        name="call",
        summary="call a tool, as a model would",
        run=f"{_COMMANDS}.catalog.call:run",
        arguments=(
            Argument(names=("tool",), help="the full name, server__tool", metavar="TOOL", values="tools"),
            Argument(
                names=("words",),
                help="KEY=VALUE or KEY:=JSON; a JSON object may come first, or - to read one from standard input; "
                "without any, a file that < gives is read",
                metavar="KEY=VALUE",
                takes_many=True,
            ),
            Argument(
                names=("--output", "-o"),
                help="save images and files to this file, or in this folder; if there are none, the text",
                metavar="PATH",
                values="files",
            ),
            Argument(names=("--running",), help="call it through the running gateway, in its sessions", is_flag=True),
            _GATEWAY,
            Argument(names=("--no-check",), help="send arguments that do not fit the tool's schema", is_flag=True),
        ),
        has_json=True,
        examples=(
            "call time__get_current_time timezone=Europe/Vienna",
            "call github__create_issue owner=me repo=it title='It broke' labels=bug labels=urgent",
            """call time__get_current_time '{"timezone": "UTC"}'""",
            "call camera__take_picture --output picture.png",
        ),
    ),
    Command(
        name="check",
        summary="validate the configuration",
        run=f"{_COMMANDS}.check:run",
        arguments=(
            Argument(names=("--connect",), help="try every server, too: start it or connect to it", is_flag=True),
        ),
        has_json=True,
        needs_sdk=False,
        examples=("check", "check --connect"),
    ),
    Command(
        name="doctor",
        summary="find what is wrong here, and say how to fix it, or fix it",
        run=f"{_COMMANDS}.doctor:run",
        arguments=(
            Argument(
                names=("--fix",),
                help="apply what is safe, such as chmod 600; exit codes: 0, 10 with warnings, 11 with errors",
                is_flag=True,
            ),
            Argument(
                names=("--seconds",),
                help="how long it may take (default 30)",
                metavar="N",
                parse=_count,
                default=30,
            ),
        ),
        has_json=True,
        examples=("doctor", "doctor --fix"),
    ),
    PLUGINS,
    Command(
        name="trust",
        summary="allow gateways over stdio in a folder to read its server_config.json, as it is now",
        run=f"{_COMMANDS}.trust:run",
        arguments=(
            Argument(
                names=("folder",),
                help="the folder (default: this one)",
                is_optional=True,
                default=".",
                values="folders",
            ),
            Argument(names=("--list",), help="list what is trusted", is_flag=True),
            Argument(names=("--remove",), help="stop trusting it", is_flag=True),
        ),
        has_json=True,
        needs_sdk=False,
        examples=("trust", "trust --list"),
    ),
    Command(
        name="schema",
        summary="print the JSON Schema of the file of servers",
        run=f"{_COMMANDS}.schema:run",
        needs_sdk=False,
        examples=("schema > server_config.schema.json",),
    ),
    Command(
        name="completion",
        summary="print the completion script of a shell",
        run=f"{_COMMANDS}.completion:run",
        arguments=(Argument(names=("shell",), help="the shell", choices=SHELLS),),
        needs_sdk=False,
        notes=INSTALLATION,
        examples=("completion bash",),
    ),
    Command(
        name="help",
        summary="show what all commands, or one of them, are for",
        run=f"{_COMMANDS}.help:run",
        arguments=(Argument(names=("verb",), help="the command", metavar="COMMAND", is_optional=True, values="verbs"),),
        needs_sdk=False,
        examples=("help", "help call"),
    ),
    Command(
        name="version",
        summary="print which release this is",
        run=f"{_COMMANDS}.version:run",
        has_json=True,
        needs_sdk=False,
        examples=("version",),
    ),
    *CLIENT_VERBS,
    *ENTRY_VERBS,
)
