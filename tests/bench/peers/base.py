"""What the bench must know of a gateway to measure it: how to start it, and how a tool is listed, found and called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ..clients import Client

Json = dict[str, Any]
PAIRS = ("http-http", "http-stdio", "stdio-stdio", "stdio-http")
"""How the client reaches the gateway, and how the gateway reaches its servers."""
AUTHORIZATION = "Bearer of-the-bench"
"""The header that servers ask for."""


@dataclass(frozen=True)
class Server:
    """A server behind a gateway: a URL or a command. `last` is the last of its tools."""

    name: str
    url: str = ""
    command: tuple[str, ...] = ()
    last: str = "echo"

    @property
    def port(self) -> str:
        return self.url.split(":")[2].split("/")[0]

    def entry(self, **more: Any) -> Json:
        """Return it as the clients' own configuration files have it."""
        return {"url": self.url, **more} if self.url else {"command": self.command[0], "args": list(self.command[1:])}


@dataclass(frozen=True)
class Place:
    """Where a gateway is to be started, and in front of what."""

    pair: str
    servers: tuple[Server, ...]
    port: int
    folder: Path
    credentials: str = ""
    """Where the header comes from that the servers ask for: `static`, `forwarded` or nowhere."""

    @property
    def over_http(self) -> bool:
        return self.pair.startswith("http")

    def write(self, name: str, content: Any) -> str:
        """Write a configuration file; return its path."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return str(path)

    def client_file(self, **more: Any) -> str:
        """Write the servers as `{"mcpServers": {...}}`; return the path."""
        return self.write("mcp.json", {"mcpServers": {server.name: server.entry(**more) for server in self.servers}})


@dataclass(frozen=True)
class Launch:
    """How a gateway is started, and where it listens. Without a command nothing is: `port` is the server's own."""

    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    path: str = "/mcp"
    headers: Mapping[str, str] = field(default_factory=dict)
    port: int = 0


class Peer:
    """One gateway in one manner of use."""

    name: ClassVar[str]
    about: ClassVar[str] = ""
    """What it is, in a few words; `{version}` stands for its version."""
    language: ClassVar[str] = "Python"
    pairs: ClassVar[tuple[str, ...]] = PAIRS
    aggregates: ClassVar[bool] = True
    """Whether it serves several servers at once."""
    era: ClassVar[str] = "handshake"
    """The era of the client that measures it."""
    sessions: ClassVar[str] = "each"
    """`sse` where it speaks HTTP+SSE of 2024-11-05 to its clients."""
    lists: ClassVar[bool] = True
    """Whether it lists the tools of its servers; else they must be searched for."""
    server_count: int = 2
    """How many servers are behind it now: some name tools otherwise if there is one only."""

    def version(self) -> str:
        """Return the version that is measured; installs what is needed. Raises Unavailable."""
        raise NotImplementedError

    def launch(self, place: Place) -> Launch:
        """Return how it is started; writes its configuration."""
        raise NotImplementedError

    def tool(self, server: str, tool: str) -> str:
        """Return a tool's name as clients see it."""
        return f"{server}__{tool}"

    def call(self, server: str, tool: str, arguments: Json) -> tuple[str, Json]:
        """Return the name and the arguments of the `tools/call` that reaches a server's tool."""
        return self.tool(server, tool), arguments

    def search(self, _query: str) -> tuple[str, Json] | None:
        """Return the `tools/call` that searches, if it has one."""
        return None

    def finds(self, client: Client, server: str, tool: str) -> bool:
        """Whether a client can see or find this tool by now."""
        return any(each["name"] == self.tool(server, tool) for each in client.tools())

    def missing(self, client: Client, wanted: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those tools that a client cannot see or find yet."""
        if self.lists:
            there = {each["name"] for each in client.tools()}
            return [each for each in wanted if self.tool(*each) not in there]
        while wanted and self.finds(client, *wanted[-1]):
            wanted = wanted[:-1]
        return wanted

    def described(self) -> str:
        """Return what it is, with its version."""
        return self.about.replace("{version}", self.version())
