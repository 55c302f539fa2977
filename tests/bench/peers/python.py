"""Gateways from PyPI that are written in Python."""

from __future__ import annotations

import json
from pathlib import Path

from ..clients import Client
from ..environments import PythonEnvironment
from .base import Json, Launch, Peer, Place

PROGRAMS = Path(__file__).parent.parent / "programs"


class Packaged(Peer):
    """A peer with an environment of its own; its version is that of the first package."""

    environment: PythonEnvironment
    distribution: str

    def version(self) -> str:
        return self.environment.version(self.distribution)


class Forerunner(Packaged):
    name, lists = "mcp-orchestration-gateway-0.1", False
    about = "mcp-orchestration-gateway {version} from PyPI, an older system that shares no code with this one"
    environment = PythonEnvironment("forerunner", ("mcp-orchestration-gateway==0.1.1", "fastmcp<4"))
    distribution = "mcp-orchestration-gateway"

    def launch(self, place: Place) -> Launch:
        servers = [
            {"name": each.name, "transport": "http", "url": each.url}
            if each.url
            else {"name": each.name, "transport": "stdio", "url": each.command[0], **each.entry()}
            for each in place.servers
        ]
        environment = {
            "SERVER_CONFIG_PATH": place.write("server_config.json", {"servers": servers}),
            "GATEWAY_TRANSPORT": "http" if place.over_http else "stdio",
            "GATEWAY_HTTP_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(place.port),
            "FASTMCP_SHOW_SERVER_BANNER": "false",
            "FASTMCP_CHECK_FOR_UPDATES": "off",
        }
        return Launch((self.environment.program("mcp-orchestration-gateway"),), environment, place.folder)

    def call(self, server: str, tool: str, arguments: Json) -> tuple[str, Json]:
        return "call_remote_tool", {"tool_name": self.tool(server, tool), "arguments": arguments}

    def search(self, query: str) -> tuple[str, Json]:
        return "tool_search", {"query": query, "max_results": 5}

    def finds(self, client: Client, server: str, tool: str) -> bool:
        query = {"query": f"^{server}__{tool}$|^{tool}$", "max_results": 10, "use_regex": True}
        return f"{server}__{tool}" in json.dumps(client.call("tool_search", query))


class FastMcp(Packaged):
    name, about = "fastmcp", "FastMCP {version}, create_proxy() over the file of servers, as documented"
    environment = PythonEnvironment("fastmcp", ("fastmcp>=4,<5",))
    distribution = "fastmcp"
    script: str = "fastmcp_proxy.py"
    options: tuple[str, ...] = ()

    def launch(self, place: Place) -> Launch:
        where = ("http", str(place.port)) if place.over_http else ("stdio",)
        command = (self.environment.program("python"), str(PROGRAMS / self.script), place.client_file())
        return Launch((*command, *where, *self.options), {"FASTMCP_CHECK_FOR_UPDATES": "off"})

    def tool(self, server: str, tool: str) -> str:
        return f"{server}_{tool}" if self.server_count > 1 else tool


class FastMcpAtItsBest(FastMcp):
    name = "fastmcp-best"
    about = "FastMCP {version} at its best: connected clients mounted, uvloop, no sessions, JSON answers"
    environment = PythonEnvironment("fastmcp-best", ("fastmcp>=4,<5", "uvloop", "httptools"))
    script, options = "fastmcp_connected.py", ("stateless", "json")

    def tool(self, server: str, tool: str) -> str:
        return f"{server}_{tool}"


class FastMcpModern(FastMcp):
    name, about, era = "fastmcp-modern", "FastMCP {version} as documented, a client of the modern era", "modern"


class FastMcpSearch(FastMcp):
    name, about = "fastmcp-bm25", "FastMCP {version} as documented, with its BM25 search transform"
    lists, options = False, ("bm25",)

    def call(self, server: str, tool: str, arguments: Json) -> tuple[str, Json]:
        return "call_tool", {"name": self.tool(server, tool), "arguments": arguments}

    def search(self, query: str) -> tuple[str, Json]:
        return "search_tools", {"query": query}

    def finds(self, client: Client, server: str, tool: str) -> bool:
        query = f"{server} echo the given text back" if tool == "echo" else tool.replace("_", " ")
        return self.tool(server, tool) in json.dumps(client.call("search_tools", {"query": query}))


class McpProxy(Packaged):
    name, about = "mcp-proxy", "mcp-proxy {version} (one server for each path)"
    environment = PythonEnvironment("mcp-proxy", ("mcp-proxy",))
    distribution = "mcp-proxy"
    pairs, aggregates = ("http-stdio", "stdio-http"), False

    def tool(self, _server: str, tool: str) -> str:
        return tool

    def launch(self, place: Place) -> Launch:
        program, server = self.environment.program("mcp-proxy"), place.servers[0]
        if not place.over_http:
            return Launch((program, "--transport", "streamablehttp", server.url))
        named = {"mcpServers": {server.name: {**server.entry(), "enabled": True}}}
        where = ("--host", "127.0.0.1", "--port", str(place.port))
        command = (program, *where, "--named-server-config", place.write("named.json", named))
        return Launch(command, path=f"/servers/{server.name}/mcp")


class FastMcpGateway(Packaged):
    name, about, lists = "fastmcp-gateway", "fastmcp-gateway {version}", False
    environment = PythonEnvironment("fastmcp-gateway", ("fastmcp-gateway",))
    distribution = "fastmcp-gateway"
    pairs = ("http-http",)

    def launch(self, place: Place) -> Launch:
        environment = {
            "GATEWAY_UPSTREAMS": json.dumps({server.name: server.url for server in place.servers}),
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(place.port),
            "LOG_LEVEL": "ERROR",
            "FASTMCP_CHECK_FOR_UPDATES": "off",
        }
        return Launch((self.environment.program("fastmcp-gateway"),), environment, place.folder)

    def tool(self, server: str, tool: str) -> str:
        return f"{server}_{tool}"  # how it tells equal names apart

    def call(self, server: str, tool: str, arguments: Json) -> tuple[str, Json]:
        return "execute_tool", {"tool_name": self.tool(server, tool), "arguments": arguments}

    def search(self, query: str) -> tuple[str, Json]:
        return "discover_tools", {"query": query}

    def finds(self, client: Client, server: str, tool: str) -> bool:
        return self.tool(server, tool) in json.dumps(client.call("discover_tools", {"query": tool}))


class Pmcp(Packaged):
    name, about, lists = "pmcp", "PMCP {version}", False
    environment = PythonEnvironment("pmcp", ("pmcp[http]",))
    distribution = "pmcp"

    def launch(self, place: Place) -> Launch:
        servers = {
            server.name: {**server.entry(), **({"type": "http"} if server.url else {})} for server in place.servers
        }
        content = {"mcpServers": servers, "autoStart": list(servers)}
        files = ("--config", place.write("pmcp.json", content), "--lock-dir", str(place.folder))
        where = ("--transport", "http", "--port", str(place.port)) if place.over_http else ("--transport", "stdio")
        environment = {"HOME": str(place.folder), "PMCP_RATE_LIMIT": "0"}
        command = (self.environment.program("pmcp"), "--quiet", *files, *where)
        return Launch(command, environment, place.folder)

    def tool(self, server: str, tool: str) -> str:
        return f"{server}::{tool}"

    def call(self, server: str, tool: str, arguments: Json) -> tuple[str, Json]:
        return "gateway.invoke", {"tool_id": self.tool(server, tool), "arguments": arguments}

    def search(self, query: str) -> tuple[str, Json]:
        return "gateway.catalog_search", {"query": query}

    def finds(self, client: Client, server: str, tool: str) -> bool:
        found = client.call("gateway.catalog_search", {"query": tool, "filters": {"server": server}})
        return self.tool(server, tool) in json.dumps(found)
