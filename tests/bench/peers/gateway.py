"""This gateway, as it is installed in the environment that runs the bench."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from pathlib import Path

from ..clients import Client
from ..environments import gateway_program
from .base import AUTHORIZATION, Json, Launch, Peer, Place, Server

HERE = Path(__file__).parent
CREDENTIALS: dict[str, Json] = {
    "": {},
    "static": {"auth_type": "static", "auth_headers": {"Authorization": AUTHORIZATION}},
    "forwarded": {"auth_type": "forward"},
}
MANY_SESSIONS = {"GATEWAY_MAX_SESSIONS": "10000", "GATEWAY_MAX_SESSIONS_PER_CALLER": "10000"}
"""All load comes from one address."""


class Gateway(Peer):
    name, about, lists = "gateway", "this gateway {version}, a client of the handshake era", False
    exposes = False

    def version(self) -> str:
        git = ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
        released = importlib.metadata.version("mcp-orchestration-gateway")
        return f"{released} ({commit})" if commit else released

    def launch(self, place: Place) -> Launch:
        servers = [self._entry(server, place.credentials) for server in place.servers]
        environment = {
            "SERVER_CONFIG_PATH": place.write("servers.json", {"servers": servers}),
            "GATEWAY_TRANSPORT": "http" if place.over_http else "stdio",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(place.port),
            "GATEWAY_LOG_LEVEL": "WARNING",
            "GATEWAY_STATE_DIR": str(place.folder / "state"),
            **MANY_SESSIONS,
        }
        headers = {"Authorization": AUTHORIZATION} if place.credentials == "forwarded" else {}
        return Launch((self.program(),), environment, place.folder, headers=headers)

    def program(self) -> str:
        """Return the path of its command."""
        return gateway_program()

    def _entry(self, server: Server, credentials: str) -> Json:
        exposed = {"expose_tools": True} if self.exposes else {}
        return {"name": server.name, **server.entry(), **exposed, **CREDENTIALS[credentials]}

    def search(self, query: str) -> tuple[str, Json]:
        return "tool_search", {"query": query}

    def finds(self, client: Client, server: str, tool: str) -> bool:
        found = client.call("tool_search", {"query": f"^{server}__{tool}$", "use_regex": True})
        return f"{server}__{tool}" in json.dumps(found)


class ModernGateway(Gateway):
    name, about, era = "gateway-modern", "the same, a client of the modern era", "modern"


class SearchingGateway(Gateway):
    name, about = "gateway-remote", "the same, called by call_remote_tool, as a model does after a search"

    def call(self, server: str, tool: str, arguments: Json) -> tuple[str, Json]:
        return "call_remote_tool", {"tool_name": self.tool(server, tool), "arguments": arguments}


class ExposingGateway(Gateway):
    name, about, lists, exposes = "gateway-exposed", "the same with expose_tools: it lists all tools", True, True


class Baseline(Gateway):
    """Another installation of it, such as one of the commit before."""

    name, about = "baseline", "the gateway that --baseline names: {version}"

    def __init__(self, program: Path, era: str) -> None:
        self._program = program
        self.era = era  # type: ignore[misc]

    def version(self) -> str:
        said = subprocess.run([self._program, "--version"], capture_output=True, text=True, check=True).stdout
        return said.strip().split(" ")[-1]

    def program(self) -> str:
        return str(self._program)
