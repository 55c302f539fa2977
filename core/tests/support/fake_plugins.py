"""Plugins of this process, and distributions that a test installs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
from pydantic import Field, SecretStr

from mcp_gateway.plugin import (
    AuthError,
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
from mcp_gateway.plugin_host.loader import Choice, load_plugins
from mcp_gateway.plugin_host.providers import Providers

NOTHING_INSTALLED = Choice(only=("no plugin has this name",))
"""Keeps the plugins out that happen to be installed beside the core."""


def plugin(**listings: list[Any]) -> ModuleType:
    """Make a plugin; `rankers=[...]` is what its hook `mcp_gateway_rankers` yields."""
    made = ModuleType("a_plugin")
    made.GATEWAY_API = 1
    for kind, offered in listings.items():
        setattr(made, f"mcp_gateway_{kind}", hookimpl(lambda offered=offered: offered))
    return made


def provider(name: str, product: Any = None, options: type[Options] = Options, **more: Any) -> Provider[Any, Any]:
    """Offer `product`, or what it returns for the options if it is a function."""

    @asynccontextmanager
    async def build(settled: Any) -> AsyncIterator[Any]:
        yield product(settled) if callable(product) else product

    return Provider(name=name, summary=f"the test's {name}", options=options, build=build, **more)


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
        override = {} if caller.auth_header is None else {"Authorization": caller.auth_header}
        return Credentials.of({**self._saved, **override})


class Forward:
    async def credentials(self, caller: Caller) -> Credentials:
        found = caller.auth_header or caller.headers.get("authorization")
        if not found:
            raise AuthError("it wants the caller's own Authorization header")
        return Credentials.of({"Authorization": found})


@dataclass
class WordRanker:
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
    ranker: WordRanker
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


class MemoryStorage:
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
            provider(
                "stdio", options=Command, preflight=lambda it: "it is not there" if it.command == "gone" else None
            ),
            provider("http", options=Address),
            provider("memory", lambda options: (remotes or {})[options.name], Named),
        ],
        server_transports=[provider("stdio", others.get("server_transport")), provider("http", options=Port)],
        auth_strategies=[provider("static", Static, Saved), provider("forward", lambda _: Forward())],
        rankers=[
            provider("bm25", others.get("ranker", WordRanker())),
            provider("regex", others.get("regex", WordRanker())),
            *others.get("rankers", ()),
        ],
        storage_backends=[provider("memory", others.get("storage", MemoryStorage())), provider("redis", options=Redis)],
    )


def providers_of(*plugins: ModuleType) -> Providers:
    """Load plugins of this process, and nothing else."""
    extra = [(f"plugin-{number}", made) for number, made in enumerate(plugins)]
    return Providers.of(replace(load_plugins(NOTHING_INSTALLED, extra=extra), left_out=()))


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


INSTALLED = everything()
"""What the distribution of the fixture `installed` holds."""
