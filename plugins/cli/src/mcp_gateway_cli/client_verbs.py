"""The verbs for programs with MCP servers, with their arguments."""

from __future__ import annotations

from mcp_gateway.plugin import Argument, Command

_COMMANDS = "mcp_gateway_cli.commands.clients"

_DRY_RUN = Argument(names=("--dry-run",), help="show what would change, and write nothing", is_flag=True)
_NO_TRY = Argument(names=("--no-try",), help="import servers without starting them first", is_flag=True)
_SECRETS = Argument(
    names=("--secrets",),
    help="keep secrets in the entries, or move them into the system keyring; by default a person is asked",
    choices=("keep", "keyring"),
)
_CLIENT = Argument(
    names=("client",), help="the program, such as cursor or claude-code", metavar="CLIENT", values="clients"
)

CLIENT_VERBS = (
    Command(
        name="init",
        summary="import the servers of all programs on this machine, and connect these to the gateway",
        run=f"{_COMMANDS}.init:run",
        arguments=(
            Argument(names=("--yes", "-y"), help="take all that is found, and do not ask", is_flag=True),
            _DRY_RUN,
            Argument(names=("--keep",), help="leave the imported servers in the programs, too", is_flag=True),
            _NO_TRY,
            _SECRETS,
        ),
        has_json=True,
        examples=("init", "init --dry-run", "init --yes", "init --secrets keyring"),
    ),
    Command(
        name="import",
        summary="add the servers of one program or file to the gateway's own",
        run=f"{_COMMANDS}.import_servers:run",
        arguments=(
            Argument(
                names=("source",),
                help="a program, such as cursor, or a file",
                metavar="FILE|CLIENT",
                values="clients and files",
            ),
            Argument(names=("--server",), help="this server only; may be repeated", metavar="NAME", takes_many=True),
            _DRY_RUN,
            _NO_TRY,
            _SECRETS,
        ),
        has_json=True,
        examples=("import cursor", "import .mcp.json --server github"),
    ),
    Command(
        name="connect",
        summary="put the gateway into the configuration of a program",
        run=f"{_COMMANDS}.connect:run_connect",
        arguments=(_CLIENT, _DRY_RUN),
        has_json=True,
        needs_sdk=False,
        examples=("connect cursor", "connect claude-code --dry-run"),
    ),
    Command(
        name="disconnect",
        summary="take the gateway out of the configuration of a program",
        run=f"{_COMMANDS}.connect:run_disconnect",
        arguments=(_CLIENT, _DRY_RUN),
        has_json=True,
        needs_sdk=False,
        examples=("disconnect cursor",),
    ),
    Command(
        name="undo",
        summary="put every file back as it was before the last command changed it",
        run=f"{_COMMANDS}.undo:run",
        arguments=(
            Argument(
                names=("--all",),
                help="undo every command that can be undone, after a question; with --config those for that file only",
                is_flag=True,
            ),
            Argument(names=("--yes", "-y"), help="do not ask", is_flag=True),
            Argument(names=("--list",), help="list the commands that can be undone, the last one first", is_flag=True),
            Argument(
                names=("--merge",),
                help="in files that somebody has changed since, put back the servers only",
                is_flag=True,
            ),
            Argument(names=("--force",), help="overwrite files that somebody has changed since, too", is_flag=True),
        ),
        has_json=True,
        needs_sdk=False,
        examples=("undo", "undo --list", "undo --all"),
    ),
)
