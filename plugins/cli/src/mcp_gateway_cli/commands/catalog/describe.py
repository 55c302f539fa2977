"""`describe`: show all that there is to know of a tool."""

from __future__ import annotations

import json
import shlex
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import anyio

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.local_client import LocalClient, open_local_client, warn_if_no_servers
from mcp_gateway.control.terminal import show, show_json, show_text
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.calls.schema_types import describe_type, properties_of, required_of, resolve, types_of
from mcp_gateway_cli.calls.tokens import estimate_value
from mcp_gateway_cli.output.advice import require_servers
from mcp_gateway_cli.output.server_progress import show_server_progress
from mcp_gateway_cli.output.tables import show_table

Json = dict[str, Any]

_HINTS = {
    "readOnlyHint": ("read-only", "not read-only"),
    "destructiveHint": ("may be destructive", "not destructive"),
    "idempotentHint": ("idempotent", "not idempotent"),
    "openWorldHint": ("open world: reaches the outside", "closed world: no outside access"),
}
"""What annotations say, if they are true, and if they are false."""

_MAX_DEPTH = 2
"""How deep objects inside of objects are shown."""

_COST = "what its definition costs a model that has it in its list"


def run(context: ControlContext, arguments: Namespace) -> int:
    """Print a tool's definition; return the exit code."""
    context.configure_quiet_logging()
    warn_if_no_servers(context)
    require_servers(context)
    return anyio.run(_run, context, arguments)


async def _run(context: ControlContext, arguments: Namespace) -> int:
    async with open_local_client(context, retries=False) as client:
        server, definition = await _find(client, arguments.tool)
    described = _as_json(arguments.tool, server, definition)
    if arguments.json:
        show_json(described)
    else:
        _show(described)
    return 0


async def _find(client: LocalClient, tool: str) -> tuple[str, Json]:
    async with show_server_progress(client):
        await client.wait_for_name(tool)
        server, definition = await client.find_definition(tool)
    return server, dict(definition)


def _as_json(tool: str, server: str, definition: Json) -> Json:
    annotations = definition.get("annotations")
    return {
        "tool_name": tool,
        "server": server,
        "title": definition.get("title") or (annotations or {}).get("title"),
        "description": definition.get("description", ""),
        "input_schema": definition.get("inputSchema"),
        "output_schema": definition.get("outputSchema"),
        "annotations": annotations,
        "tokens": estimate_value(definition),
    }


def _show(tool: Json) -> None:
    title = f": {tool['title']}" if tool["title"] else ""
    show(f"{tool['tool_name']}{title}")
    says = [f"of server {tool['server']}", *_describe_annotations(tool["annotations"])]
    show(f"  {'; '.join(says)}", f"  about {tool['tokens']:,} tokens, {_COST}", "")
    show_text(str(tool["description"]).strip() or "(the server does not say what it does)", wraps=True)
    _show_properties("arguments", tool["input_schema"], "it takes no arguments")
    if tool["output_schema"] is not None:
        _show_properties("result", tool["output_schema"], "its result is an object")
    show("", "example:", f"  {NAME} call {tool['tool_name']}{_example(tool['input_schema'])}")


def _describe_annotations(annotations: object) -> list[str]:
    given = annotations if isinstance(annotations, dict) else {}
    known = [(given.get(hint), words) for hint, words in _HINTS.items()]
    return [words[0] if value else words[1] for value, words in known if isinstance(value, bool)]


def _show_properties(title: str, schema: object, nothing: str) -> None:
    rows = [
        (name, describe_type(one, schema), "required" if is_required else _describe_default(one), _summarize(one))
        for name, one, is_required in _walk(schema, schema)
    ]
    show("", f"{title}:" if rows else f"{title}: {nothing}")
    if rows:
        show_table(("name", "type", "", "what"), rows)


def _walk(schema: object, root: object, prefix: str = "") -> Iterator[tuple[str, Json, bool]]:
    """Yield name, schema and necessity of properties, and of those inside.

    Names of those inside have the dots by which `call` takes them.
    """
    required = required_of(schema)
    for name, one in properties_of(schema).items():
        found = resolve(one, root)
        yield f"{prefix}{name}", found, name in required
        if prefix.count(".") < _MAX_DEPTH:
            yield from _walk(found, root, f"{prefix}{name}.")


def _summarize(schema: Json) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _describe_default(schema: Json) -> str:
    return f"= {json.dumps(schema['default'], ensure_ascii=False)}" if schema.get("default") is not None else ""


def _example(schema: object) -> str:
    """Return the pairs of an example: all that is required."""
    needed: dict[str, Json] = {}
    for name, one, is_required in _walk(schema, schema):
        holder = name.rpartition(".")[0]
        if is_required and (not holder or holder in needed):
            needed[name] = one
    inner = {name.rpartition(".")[0] for name in needed}
    return "".join(f" {_example_pair(name, one, schema)}" for name, one in needed.items() if name not in inner)


def _example_pair(name: str, schema: Json, root: object) -> str:
    examples = schema.get("examples")
    samples = [*(examples if isinstance(examples, list) else []), *(schema.get("enum") or [])[:1]]
    if samples:
        value = samples[0] if isinstance(samples[0], str) else json.dumps(samples[0], ensure_ascii=False)
        return shlex.quote(f"{name}={value}")
    return f"{shlex.quote(name)}={'-OR-'.join(sorted(types_of(schema, root))).upper() or 'VALUE'}"
