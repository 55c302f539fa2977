"""What the tests are built of: real MCP servers in memory, plugins of this process, and a gateway over them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import anyio.lowlevel
from mcp.client._memory import InMemoryTransport
from mcp.server import Server
from mcp.server.runner import serve_loop
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.memory import create_client_server_memory_streams
from mcp.types import CallToolResult, ListToolsResult
from pydantic import Field, SecretStr

from mcp_gateway.app import Running, running
from mcp_gateway.config.servers import ServerFile, ServerSpec, read_servers
from mcp_gateway.config.settings import read_environment, read_settings
from mcp_gateway.loading import Choice, load_plugins
from mcp_gateway.plugin import (
    AuthError,
    Bound,
    Caller,
    Credentials,
    Document,
    Hit,
    Hits,
    Options,
    Provider,
    Query,
    QueryError,
    hookimpl,
)
from mcp_gateway.providers import Providers
from mcp_gateway.sessions.peer import Peer, connected

Json = dict[str, Any]

PATIENCE = 5.0
"""How many seconds a test waits for what should happen at once."""

NOTHING_INSTALLED = Choice(only=("no plugin has this name",))
"""Keeps the plugins out that happen to be installed beside the core."""


async def until(condition: Callable[[], object]) -> None:
    """Let the other tasks run until `condition` holds."""
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.lowlevel.checkpoint()


# -- servers behind the gateway


def tool(name: str, description: str = "", **more: Any) -> Json:
    return {"name": name, "description": description, "inputSchema": {"type": "object"}, **more}


def text(said: str) -> Json:
    return {"content": [{"type": "text", "text": said}]}


class Remote:
    """A downstream MCP server in memory, for both eras or the old one; and the client transport that leads to it.

    `answers` says what a tool answers: a result, an error to raise, or an async function of the params.
    """

    def __init__(self, *tools: Json, handshake: bool = False, credentials: bool = False, **options: Any) -> None:
        self.tools = list(tools)
        self.handshake = handshake
        self.carries_credentials = credentials
        self.answers: dict[str, Any] = {}
        self.refusal: Exception | None = None
        self.listing = anyio.Event()
        self.may_list: anyio.Event | None = None
        self.page_size = 1000
        self.opened: list[dict[str, str]] = []
        self.open = 0
        self.listed = 0
        self.calls: list[Json] = []
        self._lines: list[Any] = []
        self._sessions: list[Any] = []
        self._server: Server[Any] = Server(
            "remote", version="1", on_list_tools=_unused_list, on_call_tool=_unused_call, **options
        )
        self._server.get_tool_input_schema = lambda _: None
        self._server.middleware[:] = [self._raw]

    @asynccontextmanager
    async def connect(self, credentials: Credentials) -> AsyncIterator[Any]:
        self.opened.append(credentials.headers)
        if self.refusal is not None:
            raise self.refusal
        async with create_client_server_memory_streams() as (ours, theirs), anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve, theirs)
            self._lines.append(theirs)
            self.open += 1
            try:
                yield ours
            finally:
                self.open -= 1
                self._lines.remove(theirs)
                tasks.cancel_scope.cancel()

    async def die(self) -> None:
        """Close every connection, as a process does that ends."""
        for read, write in list(self._lines):
            await read.aclose()
            await write.aclose()

    async def announce(self) -> None:
        """Tell the clients of the handshake era that the tools have changed."""
        for session in self._sessions:
            await session.send_tool_list_changed()

    async def _serve(self, streams: Any) -> None:
        options = self._server.create_initialization_options()
        if self.handshake:
            await serve_loop(self._server, *streams, lifespan_state=None, init_options=options)
        else:
            await self._server.run(*streams, options)

    async def _raw(self, ctx: Any, call_next: Any) -> Any:
        if ctx.method == "notifications/initialized":
            self._sessions.append(ctx.session)
        if ctx.method == "tools/list":
            return await self._list((ctx.params or {}).get("cursor"))
        if ctx.method == "tools/call":
            self.calls.append(dict(ctx.params))
            return await self._call(ctx)
        return await call_next(ctx)

    async def _list(self, cursor: str | None) -> Json:
        self.listed += 1
        self.listing.set()
        if self.may_list is not None:
            await self.may_list.wait()
        first = int(cursor or 0)
        following = first + self.page_size
        more = {"nextCursor": str(following)} if following < len(self.tools) else {}
        return {"tools": self.tools[first:following], **more}

    async def _call(self, ctx: Any) -> Json:
        answer = self.answers.get(ctx.params["name"], text("done"))
        if isinstance(answer, Exception):
            raise answer
        return await answer(ctx) if callable(answer) else answer


async def _unused_list(_: Any, __: Any) -> ListToolsResult:
    return ListToolsResult(tools=[])


async def _unused_call(_: Any, __: Any) -> CallToolResult:
    return CallToolResult(content=[])


@asynccontextmanager
async def wire(answers: Mapping[str, Any]) -> AsyncIterator[Any]:
    """Open a transport to a server that answers only the methods in `answers`, and is silent to those with `...`."""

    async def answered(_: Any, method: str, params: Any) -> Json:
        answer = answers.get(method, MCPError(-32601, f"Method not found: {method}"))
        if answer is ...:
            await anyio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        said = answer(params) if callable(answer) else answer
        return await said if isawaitable(said) else said

    async def noted(_: Any, __: str, ___: Any) -> None:
        """Take a notification."""

    async with create_client_server_memory_streams() as (ours, theirs), anyio.create_task_group() as tasks:
        await tasks.start(JSONRPCDispatcher(*theirs).run, answered, noted)
        yield ours
        tasks.cancel_scope.cancel()


# -- plugins


def plugin(**offers: list[Any]) -> ModuleType:
    """Make a plugin; `rankers=[...]` is what its hook `mcp_gateway_rankers` yields."""
    made = ModuleType("a_plugin")
    made.GATEWAY_API = 1
    for kind, offered in offers.items():
        setattr(made, f"mcp_gateway_{kind}", hookimpl(lambda offered=offered: offered))
    return made


def provider(name: str, product: Any = None, options: type[Options] = Options) -> Provider[Any, Any]:
    """Offer `product`, or what it returns for the options if it is a function."""

    @asynccontextmanager
    async def build(settled: Any) -> AsyncIterator[Any]:
        yield product(settled) if callable(product) else product

    return Provider(name=name, summary=f"the test's {name}", options=options, build=build)


class Command(Options):
    command: str
    args: list[str] = Field(default=[])
    env: dict[str, SecretStr] = Field(default={})


class Address(Options):
    url: str = Field(pattern="^https?://")


class Named(Options):
    name: str


class Saved(Options):
    headers: dict[str, SecretStr] = Field(alias="auth_headers", min_length=1)
    header_name: str = Field("Authorization", alias="auth_header_name")


class Port(Options):
    port: int = Field(8080, ge=0, le=65535, alias="GATEWAY_PORT")
    token: SecretStr | None = Field(None, alias="GATEWAY_AUTH_TOKEN", min_length=4)


class Redis(Options):
    url: SecretStr = Field(SecretStr("redis://localhost:6379/0"), alias="REDIS_URL")


class Static:
    def __init__(self, options: Saved) -> None:
        self._saved = {name: value.get_secret_value() for name, value in options.headers.items()}

    async def credentials(self, caller: Caller) -> Credentials:
        override = {} if caller.override is None else {"Authorization": caller.override}
        return Credentials.of({**self._saved, **override})


class Forward:
    async def credentials(self, caller: Caller) -> Credentials:
        found = caller.override or caller.headers.get("authorization")
        if not found:
            raise AuthError("it wants the caller's own Authorization header")
        return Credentials.of({"Authorization": found})


@dataclass
class Words:
    """A ranker: a document matches if it holds a word of the query. `built` counts the indexes."""

    built: int = 0
    seen: list[Query] = field(default_factory=list)
    may_build: anyio.Event | None = None
    documents: list[Document] = field(default_factory=list)

    async def build(self, documents: Any) -> WordIndex:
        self.built += 1
        if self.may_build is not None:
            await self.may_build.wait()
        self.documents = list(documents)
        return WordIndex(self, {item.id: f"{item.name} {item.description}".lower() for item in documents})


@dataclass
class WordIndex:
    ranker: Words
    texts: Mapping[str, str]

    async def search(self, query: Query) -> Hits:
        self.ranker.seen.append(query)
        words = query.text.lower().split()
        if "(" in words:
            raise QueryError("the parenthesis is not closed")
        scores = {
            name: sum(len(re.findall(re.escape(word), held)) for word in words) for name, held in self.texts.items()
        }
        best = sorted((name for name in scores if scores[name]), key=lambda name: (-scores[name], name))
        hits = tuple(Hit(id=name, score=float(scores[name])) for name in best[: query.limit])
        return Hits(hits=hits, total=len(best))


class Shelf:
    """A storage backend: a dictionary, with the seconds that each value may live."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.ttls: dict[str, float | None] = {}

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        self.values[key], self.ttls[key] = value, ttl

    async def delete(self, key: str) -> bool:
        return self.values.pop(key, None) is not None

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        for key in [key for key in self.values if key.startswith(prefix)]:
            yield key


def everything(remotes: Mapping[str, Any] | None = None, **others: Any) -> ModuleType:
    """Make a plugin with the names of all default ones, and `memory`, which leads to `remotes`."""
    return plugin(
        client_transports=[
            provider("stdio", options=Command),
            provider("http", options=Address),
            provider("memory", lambda options: (remotes or {})[options.name], Named),
        ],
        server_transports=[provider("stdio", others.get("server_transport")), provider("http", options=Port)],
        auth_strategies=[provider("static", Static, Saved), provider("forward", lambda _: Forward())],
        rankers=[provider("bm25", others.get("ranker", Words())), provider("regex", others.get("regex", Words()))],
        storage_backends=[provider("memory", others.get("storage", Shelf())), provider("redis", options=Redis)],
    )


def providers_of(*plugins: ModuleType) -> Providers:
    """Load plugins of this process, and nothing else."""
    extra = [(f"plugin-{number}", made) for number, made in enumerate(plugins)]
    return Providers.of(load_plugins(NOTHING_INSTALLED, extra=extra))


# -- configuration


def spec(name: str = "alpha", **changes: Any) -> ServerSpec:
    """Make a settled server, as the configuration would."""
    settled: Json = {
        "name": name,
        "description": "",
        "client_transport": Bound("memory", None),
        "auth": None,
        "auth_optional": False,
        "overridable": True,
        "stateful": False,
        "auto_discover": True,
        "expose_tools": False,
        "timeout": PATIENCE,
        "max_retries": 0,
        "fingerprint": "f00",
    }
    return ServerSpec(**{**settled, **changes})


def read(folder: Path, written: Any, providers: Providers | None = None, **environ: str) -> ServerFile:
    """Write a server file and read it."""
    path = folder / "server_config.json"
    path.write_text(written if isinstance(written, str) else json.dumps(written), encoding="utf-8")
    environ = {"SERVER_CONFIG_PATH": str(path), **environ}
    return read_servers(read_environment(environ), environ, providers or providers_of(everything()))


# -- a gateway


@asynccontextmanager
async def gateway(
    folder: Path, remotes: Mapping[str, Any], environ: Mapping[str, str] | None = None, **parts: Any
) -> AsyncIterator[Running]:
    """Open a gateway over servers in memory. `parts` are products by kind, or more keys of the server of that name."""
    entries = [{"transport": "memory", "timeout": PATIENCE, **parts.get(name, {}), "name": name} for name in remotes]
    providers = providers_of(everything(remotes, **parts))
    servers = read(folder, {"servers": entries}, providers, **(environ or {}))
    with anyio.fail_after(6 * PATIENCE):
        async with running(read_settings(environ or {}, providers), servers) as opened:
            yield opened


@asynccontextmanager
async def client(opened: Running, *, modern: bool = True, heard: list[str] | None = None) -> AsyncIterator[Peer]:
    """Visit a gateway as a client that sees raw JSON, in either era. `heard` collects the notifications."""

    def notified(method: str, _: Mapping[str, Any] | None) -> None:
        if heard is not None:
            heard.append(method)

    async with connected(InMemoryTransport(opened.server), notified) as (peer, _):
        await (peer.negotiate() if modern else peer._initialize())
        yield peer


async def ask(peer: Peer, name: str, arguments: Json | None = None, **params: Any) -> Json:
    """Call a tool of the gateway."""
    return await peer.request("tools/call", {"name": name, "arguments": arguments or {}, **params})


def distribute(
    folder: Path, name: str, version: str = "1.0.0", *, modules: Mapping[str, str], **entry_points: str
) -> None:
    """Install a distribution into `folder`, which must be on `sys.path`; `_` in an entry's name stands for `-`."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = [f"{entry.replace('_', '-')} = {value}" for entry, value in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[mcp_gateway]", *lines, ""]), encoding="utf-8")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
