"""Variables plugin: `${keyring:NAME}`, a secret in the system keyring."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_gateway.plugin import Argument, Command, VariableSource, hookimpl
from mcp_gateway_variables_keyring.names import find_names_file
from mcp_gateway_variables_keyring.secrets import read_secret, remove_secret, write_secret

GATEWAY_API = 1


def explain_missing(name: str) -> str:
    """Say how a secret gets into the keyring."""
    return f"put it into the system keyring: mcp-orchestration-gateway secret set {name}"


@hookimpl
def mcp_gateway_variable_sources() -> Iterator[VariableSource]:
    """Yield `keyring`."""
    yield VariableSource(
        name="keyring",
        summary="secrets in the system keyring",
        read=read_secret,
        explain_missing=explain_missing,
        write=write_secret,
        remove=remove_secret,
        find_file=find_names_file,
    )


@hookimpl
def mcp_gateway_commands() -> Iterator[Command]:
    """Yield `secret`."""
    yield Command(
        name="secret",
        summary="keep a secret in the system keyring, for ${keyring:NAME} in entries",
        run="mcp_gateway_variables_keyring.commands:run",
        arguments=(
            Argument(
                names=("action",),
                help="set reads the value from the terminal, unseen, or from standard input",
                choices=("set", "remove", "list"),
                metavar="set|remove|list",
            ),
            Argument(names=("name",), help="the secret's name", metavar="NAME", is_optional=True),
        ),
        examples=("secret set GITHUB_TOKEN", "secret remove GITHUB_TOKEN", "secret list"),
        has_json=True,
        needs_sdk=False,
    )
