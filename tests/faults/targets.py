"""What is parsed, and what must hold whatever comes: a target takes bytes, and raises if a promise is broken."""

# ruff: noqa: PT017  # that a refusal has words is asserted where it is caught

from __future__ import annotations

import asyncio
import json
import logging
import math
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from mcp_gateway_transport_stdio.framing import LineSplitter, OversizedLine, encode_oversize_error
from msgspec import UNSET
from pydantic import ValidationError

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.config.forms.variables import Unset, Variables
from mcp_gateway.config.server_file import ServerFile, read_servers
from mcp_gateway.config.settings import Environment, read_environment, read_settings
from mcp_gateway.plugin import ConfigError, Query, QueryError, RankerIndex, replace_lone_surrogates
from mcp_gateway.plugin_host.loader import Choice, load_plugins
from mcp_gateway.plugin_host.providers import Providers
from mcp_gateway.protocol.envelope import ServerError, parse_message, parse_response
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.protocol.raw_json import encode_object
from mcp_gateway.protocol.tool_names import (
    MAX_NAME,
    full_name,
    is_server_name,
    sanitize_server_name,
    split_name,
)
from mcp_gateway.server.builtin_tools import CallArguments, DiscoverArguments, SearchArguments
from mcp_gateway.storage.listings import _parse_record
from mcp_gateway.text.suggestions import find_similar_names

from .targets_http import cut, events, loop, response
from .targets_server import requests
from .targets_stdio import child_line, child_output, client_lines

Target = Callable[[bytes], None]
LIMIT = 64
"""How many bytes a line may have here."""


def quiet() -> None:
    """Log nothing: what is strange is expected here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


def parse_json(data: bytes) -> Any:
    """Read JSON; None if it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


@cache
def providers() -> Providers:
    return Providers.of(load_plugins(Choice()))


@cache
def scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="faults-")) / "servers.json"


def read(data: bytes) -> ServerFile:
    """Read data as a server file."""
    path = scratch()
    path.write_bytes(data)
    environ = {"SERVER_CONFIG_PATH": str(path), "HOME": "/root", "EMPTY": ""}
    return read_servers(Environment.model_validate(environ), environ, providers())


# -- configuration


def server_file(data: bytes) -> None:
    """A server file is read, or refused in words that name it."""
    try:
        found = read(data)
    except ConfigError as error:
        assert str(scratch()) in str(error)
        return
    names = [spec.name for spec in found.specs]
    assert len(set(names)) == len(names)
    assert all(map(is_server_name, names))


def environment(data: bytes) -> None:
    """Variables of the environment are understood, or refused in words that name them."""
    names = [*Environment.keys(), "REDIS_URL", "GATEWAY_PORT", "GATEWAY_ALLOWED_HOSTS", "GATEWAY_BM25_ALIASES"]
    values = data.decode("utf-8", "replace").split("\n")
    environ = {name: value for name, value in zip(names, values, strict=False) if value and "\0" not in value}
    try:
        read_environment(environ)
        read_settings(environ, providers())
    except ConfigError as error:
        assert "environment" in str(error)


def variables(data: bytes) -> None:
    """A string without variables stays as it is; the others expand, or are refused."""
    text = data.decode("utf-8", "replace")
    try:
        found = Variables({"A": "x", "B": "${A}"}).expand({"key": [text]})["key"][0]
    except Unset as error:
        assert str(error)
        return
    assert "$" in text or found == text


# -- JSON-RPC


def frame(data: bytes) -> None:
    """An envelope that is read is that of the message, and whatever passes through stays what it was."""
    try:
        envelope = parse_message(data)
    except ValueError as error:
        assert str(error)
        return
    message = parse_json(data) if replace_lone_surrogates(data) is data else None
    if message is None:
        return
    assert (None if envelope.method is UNSET else envelope.method) == message.get("method")
    assert envelope.id is UNSET or parse_json(bytes(envelope.id)) == message["id"]
    try:
        fields = parse_response(data)
    except ServerError as error:
        assert isinstance(error.error.message, str)
        return
    again = parse_json(bytes(encode_object(fields)))
    assert json.dumps(again) == json.dumps(message["result"])


def lines(data: bytes) -> None:
    """However a pipe delivers them, lines come out the same, and those that are too long by themselves."""

    def cut_up(pieces: list[bytes]) -> list[bytes | OversizedLine]:
        found: list[bytes | OversizedLine] = []
        cutter = LineSplitter(found.append, found.append, LIMIT)
        for piece in pieces:
            cutter.feed(piece)
        cutter.flush()
        return found

    whole, pieces = cut(data)
    found = cut_up(pieces)
    wanted = whole.split(b"\n")
    wanted = wanted if wanted[-1] else wanted[:-1]
    assert [line.size if isinstance(line, OversizedLine) else line for line in found] == [
        len(line) if len(line) > LIMIT else line.strip() for line in wanted
    ]
    for line in found:
        if isinstance(line, OversizedLine):
            json.loads(encode_oversize_error(line, LIMIT))


def arguments(data: bytes) -> None:
    """Arguments of the own tools are understood or refused."""
    for model in (SearchArguments, DiscoverArguments, CallArguments):
        try:
            model.model_validate_json(data)
        except ValidationError as error:
            assert error.errors(include_input=False)


# -- what servers and storage say


def definitions(data: bytes) -> None:
    """A stored value is definitions, or as good as none; tools have names that clients take."""
    value = parse_json(data)
    if isinstance(value, dict):
        kept = {"fetched": 1, "about": "", "hello": {}, "told": {}, "hints": {}, "prompts": [], "resources": []}
        data = json.dumps({**kept, "templates": [], **value}).encode()
    offer = _parse_record(spec(), data)
    tools = tuple(value["tools"]) if isinstance(value, dict) and isinstance(value.get("tools"), list) else ()
    offers = [Listing("alpha", tuple(filter(TOOLS.admits, tools)))] + ([offer] if offer is not None else [])
    for each in offers:
        assert all(len(name) <= MAX_NAME for name in each.tool_names)
        assert all(each.tool_name(name) for name in each.tool_names)


@cache
def spec() -> Any:
    return read(b'{"servers": [{"name": "alpha", "url": "http://127.0.0.1/"}]}').specs[0]


def names(data: bytes) -> None:
    """Names are taken apart as they were put together, and every client takes them."""
    server, _, tool = data.decode("utf-8", "replace").partition("\n")
    assert is_server_name(sanitize_server_name(server))
    for namespace in (sanitize_server_name(server), None):
        name = full_name(namespace, tool or "x")
        assert name == full_name(namespace, tool or "x")
        if namespace is not None:
            assert 0 < len(name) <= MAX_NAME
    if is_server_name(server) and tool and len(whole := f"{server}__{tool}") <= MAX_NAME and tool.isidentifier():
        assert split_name(whole) == (server, tool) or not whole.isascii()
    assert set(find_similar_names(tool, [server, "alpha__echo"])) <= {server, "alpha__echo"}


# -- searching


@cache
def indexes() -> dict[str, RankerIndex]:
    """Return an index of each ranker over a few tools."""
    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "A file's path"}}}
    said = ("Reads a file", "Sends an e-mail", "Searches issues & pull requests", "Rückwärts suchen", "时间")
    tools = tuple(
        {"name": f"tool_{number}", "description": each, "inputSchema": schema} for number, each in enumerate(said)
    )
    documents = Catalog().with_listing(Listing("alpha", tools), ["alpha"]).documents()

    async def build(name: str) -> RankerIndex:
        async with providers().rankers[name].bind({}).open() as ranker:
            return await ranker.build(documents)

    return {name: loop().run_until_complete(build(name)) for name in ("bm25", "regex")}


def query(data: bytes) -> None:
    """A query is answered, best first, or refused in words."""
    text = data[1:].decode("utf-8", "replace")[:200]
    limit, explain = data[0] % 7 + 1 if data else 1, bool(data[:1] > b"\x7f")
    asyncio.set_event_loop(loop())
    for index in indexes().values():
        try:
            found = loop().run_until_complete(index.search(Query(text=text, limit=limit, explain=explain)))
        except QueryError as error:
            assert str(error)
            continue
        scores = [hit.score for hit in found.hits]
        assert len(scores) <= limit
        assert all(map(math.isfinite, scores))
        assert scores == sorted(scores, reverse=True)
        assert len({hit.id for hit in found.hits}) == len(scores)


CONNECTIONS: tuple[Target, ...] = (lines, child_line, child_output, client_lines, events, response, requests)
"""What reads a connection: towards servers and towards clients, over pipes and over HTTP."""

TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        *(server_file, environment, variables),
        *(frame, arguments, definitions, names),
        *CONNECTIONS,
        query,
    )
}
