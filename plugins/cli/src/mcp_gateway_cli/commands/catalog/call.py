"""`call`: call a tool, as a model would."""

from __future__ import annotations

import re
import shlex
from argparse import Namespace
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import anyio

from mcp_gateway.catalog.resolver import MalformedName, UnknownServer, UnknownTool
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.gateways.calls import RunningCaller
from mcp_gateway.control.gateways.client import open_running_client
from mcp_gateway.control.gateways.lookup import choose_running
from mcp_gateway.control.local_client import AnswerFn, LocalClient, open_local_client, warn_if_no_servers
from mcp_gateway.control.terminal import complain, find_asker, show, show_json
from mcp_gateway.discovery.list_server import NotListed
from mcp_gateway.plugin import ConfigError, GatewayError, ServerUnavailable, UsageError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.protocol.tool_names import SEPARATOR
from mcp_gateway_cli.calls.arguments import GivenArguments, apply_schema, read_words
from mcp_gateway_cli.calls.attachments import check_target, read_files, save_files
from mcp_gateway_cli.calls.content import describe_result, show_result, text_of
from mcp_gateway_cli.calls.prompt import read_line
from mcp_gateway_cli.calls.questions import TerminalQuestions
from mcp_gateway_cli.calls.schema_check import SchemaUnusable, find_argument_problems, find_unlisted
from mcp_gateway_cli.calls.standard_input import has_waiting_data, is_new_file
from mcp_gateway_cli.output.advice import require_servers
from mcp_gateway_cli.output.progress import Progress
from mcp_gateway_cli.output.server_progress import show_server_progress

Json = dict[str, Any]

_PLAIN_NAME = re.compile(r"[A-Za-z][\w.-]*")


def run(context: ControlContext, arguments: Namespace) -> int:
    """Call a tool and print its result; return the exit code."""
    context.configure_quiet_logging()
    servers: set[str] = set()
    if not arguments.running and arguments.gateway is None:
        warn_if_no_servers(context)
        require_servers(context)
        servers = {spec.name for spec in context.servers.specs}
    given = _read_given(arguments, servers)
    return anyio.run(_run, context, arguments, given)


def _read_given(arguments: Namespace, servers: Collection[str]) -> GivenArguments:
    """Read what can be wrong before anything is started."""
    if arguments.output is not None:
        check_target(Path(arguments.output))
    words = arguments.words or []
    takes_file = not words and is_new_file()
    try:
        return read_words(["-"] if takes_file else words)
    except UsageError as error:
        source = "; they came from the file on standard input" if takes_file else ""
        is_split = arguments.tool in servers and bool(words) and _PLAIN_NAME.fullmatch(words[0]) is not None
        advice = _join_name(arguments.tool, words) if is_split else f"see {NAME} describe {arguments.tool}"
        raise UsageError(f"{error}{source} ({advice})") from None


def _join_name(server: str, words: Sequence[str]) -> str:
    """Ask back where server and tool were given as two words."""
    return f"did you mean: {NAME} call {shlex.join([f'{server}{SEPARATOR}{words[0]}', *words[1:]])}"


async def _run(context: ControlContext, arguments: Namespace, given: GivenArguments) -> int:
    if arguments.running or arguments.gateway is not None:
        async with open_running_client(await choose_running(arguments.gateway)) as connection:
            result = await _call_running(RunningCaller(connection), arguments, given)
    else:
        async with open_local_client(context) as client:
            result = await _call(client, arguments, given)
    saved = _save(result, arguments.output)
    if arguments.json:
        show_json(describe_result(result))
    else:
        show_result(result, saved=bool(saved))
    complain(*(f"saved: {path}" for path in saved))
    return 1 if result.get("isError") else 0


async def _call(client: LocalClient, arguments: Namespace, given: GivenArguments) -> Json:
    async with show_server_progress(client):
        await client.wait_for_name(arguments.tool)
        schema = await _find_schema(client, arguments.tool)
    values = _prepare(arguments, given, schema)
    return await _call_with_progress(client, arguments.tool, values)


async def _call_running(caller: RunningCaller, arguments: Namespace, given: GivenArguments) -> Json:
    """Call the tool by a gateway that runs, with its sessions."""
    with Progress(f"asking for {arguments.tool}"):
        schema = await caller.find_schema(arguments.tool)
    return await _call_with_progress(caller, arguments.tool, _prepare(arguments, given, schema))


async def _call_with_progress(caller: LocalClient | RunningCaller, tool: str, values: Json) -> Json:
    """Call the tool; show what its server says of its progress."""
    with Progress(f"waiting for the answer of {tool}") as progress:

        def show_progress(message: str) -> None:
            progress.update(f"{tool}: {message}")

        wanted = {"tool_name": tool, "arguments": values}
        return await caller.call("call_remote_tool", wanted, _find_answer(tool, progress), show_progress)


async def _find_schema(client: LocalClient, tool: str) -> Json:
    try:
        _, definition = await client.find_definition(tool)
    except NotListed:  # it may be called all the same
        return {}
    except (MalformedName, UnknownServer, UnknownTool, ServerUnavailable):  # the call would only find the same again
        raise
    except GatewayError:  # the call fails as well, and its result says why
        return {}
    schema = definition.get("inputSchema")
    return schema if isinstance(schema, dict) else {}


def _prepare(arguments: Namespace, given: GivenArguments, schema: Json) -> Json:
    """Return the arguments to send, checked against the schema.

    Raises:
        UsageError: they do not fit it.

    """
    advice = f"(see {NAME} describe {arguments.tool})"
    try:
        values = apply_schema(given, schema)
    except UsageError as error:
        raise UsageError(f"{arguments.tool}: {error} {advice}") from None
    unread = "" if arguments.words or given.base else _describe_unread(arguments.tool)
    if problems := [] if arguments.no_check else _find_problems(values, schema):
        advice = f"{advice[:-1]}; --no-check sends it all the same{unread})"
        raise UsageError(f"{arguments.tool}: {'; '.join(problems)} {advice}")
    if unread:
        complain(f"note: {unread.removeprefix('; ')}")
    complain(*(f"note: the tool's schema has no {name}" for name in find_unlisted(values, schema)))
    return values


def _describe_unread(tool: str) -> str:
    """Describe how to have a waiting pipe read, if there is one.

    It is not read unasked: it may be that of a script around, and a pipe without data would be waited for.
    """
    return f"; standard input is read by: {NAME} call {tool} -" if has_waiting_data() else ""


def _find_problems(values: Json, schema: Json) -> list[str]:
    try:
        return find_argument_problems(values, schema)
    except SchemaUnusable as error:
        complain(f"note: the arguments go unchecked, since the tool's schema cannot be used: {error}")
        return []


def _find_answer(tool: str, progress: Progress) -> AnswerFn | None:
    """Return what answers questions, if a person is there."""
    return TerminalQuestions(tool, read_line, progress.pause).answer if find_asker() else None


def _save(result: Json, output: str | None) -> list[Path]:
    """Save images and files, or else the text, to where `--output` says."""
    if output is None:
        return []
    target = Path(output)
    files = read_files(result)
    if files or result.get("isError"):
        return save_files(files, target)
    if target.is_dir():
        show("the result has no images and no files, so nothing was saved")
        return []
    try:
        target.write_text(text_of(result), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"--output: {target}: {error.strerror or error}") from error
    return [target]
