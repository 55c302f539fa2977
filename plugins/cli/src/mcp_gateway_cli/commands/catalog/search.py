"""`search`: find tools, as a model would."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import anyio

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.local_client import LocalClient, open_local_client, warn_if_no_servers
from mcp_gateway.control.report import complain_error, describe_failure
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.text.hints import NO_SERVERS
from mcp_gateway_cli.calls.tokens import estimate_answer
from mcp_gateway_cli.output.advice import has_servers
from mcp_gateway_cli.output.server_progress import show_server_progress, wait_until_quiet
from mcp_gateway_cli.output.tool_lines import print_notes, print_tool

Json = dict[str, Any]


def run(context: ControlContext, arguments: Namespace) -> int:
    """Print the tools that fit a query; return the exit code."""
    context.configure_quiet_logging()
    warn_if_no_servers(context)
    if not arguments.json and not has_servers(context):
        show(NO_SERVERS)
        return 0
    return anyio.run(_run, context, arguments)


async def _run(context: ControlContext, arguments: Namespace) -> int:
    async with open_local_client(context, retries=False) as client:
        async with show_server_progress(client):
            await wait_until_quiet(client)
        return await _search(client, arguments)


async def _search(client: LocalClient, arguments: Namespace) -> int:
    wanted = {"query": arguments.query, "max_results": arguments.max, "ranker": arguments.ranker}
    wanted |= {"server": arguments.server, "explain": arguments.explain}
    result = await client.call("tool_search", wanted)
    answer, tokens = result["structuredContent"], estimate_answer(result)
    if arguments.json:
        failure = {} if answer["success"] else describe_failure(answer["error_code"], answer["error"])
        show_json({**answer, "tokens": tokens, **failure})
    elif answer["success"]:
        for tool in answer["tools"]:
            print_tool(tool)
            _print_reasons(tool)
        _show_count(answer, tokens, arguments)
        print_notes([*answer["hints"], *answer["servers"]], client.servers_down)
    else:
        complain_error(answer["error"])
    return 0 if answer["success"] else 1


def _show_count(answer: Json, tokens: int, arguments: Namespace) -> None:
    if not answer["tools"]:
        show(f"no tool matches ({answer['search_type']})")
        return
    fit = f"; best match: {answer['label']}" if arguments.explain and "label" in answer else ""
    shown, total = len(answer["tools"]), answer["total_matches"]
    cost = f"; a model reads about {tokens:,} tokens"
    show(f"{shown} of {total} matching tools ({answer['search_type']}){fit}{cost}")


def _print_reasons(tool: Json) -> None:
    """Print a search hit's score and its matching terms.

    Each term is printed with its contribution and the fields that contain it.
    """
    if "score" in tool:
        show(f"      score {tool['score']:.2f}")
    for match in tool.get("matches", ()):
        show(f"      {match['score']:+7.2f}  {match['term']:<24} {', '.join(match['fields'])}".rstrip())
