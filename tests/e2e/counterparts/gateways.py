"""Deployments: gateways with the same three servers behind them, for clients of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support.gateways import GATEWAY, Json, Launcher, free_port
from ..support.programs import Programs
from .clients import ANSWERS, FOLDER, ClientProcess, start_client

MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"

CLIENTS: dict[str, tuple[str, str, str]] = {
    "mcp1": ("mcp1", "", HANDSHAKE),
    "mcp2-legacy": ("mcp2", "legacy", HANDSHAKE),
    "mcp2-auto": ("mcp2", "auto", MODERN),
    "mcp2-pinned": ("mcp2", MODERN, MODERN),
    "fastmcp4-legacy": ("fastmcp4", "legacy", HANDSHAKE),
    "fastmcp4-auto": ("fastmcp4", "auto", MODERN),
}
"""The clients: which program, in which mode, and which version of the protocol it speaks."""

SERVERS = ["everything", "mcp1", "fastmcp4"]
PYTHON = ["mcp1", "fastmcp4"]


@dataclass(frozen=True)
class Deployment:
    """A gateway with the three servers behind it, at once or behind a second gateway."""

    name: str
    target: Any
    folder: Path
    over: Json
    """How each server is reached: over stdio or over HTTP."""

    @property
    def chained(self) -> bool:
        return "-" in self.name

    def named(self, server: str, tool: str) -> str:
        """Return the name by which a tool or a prompt of a server is known."""
        return f"{'inner__' if self.chained else ''}{server}__{tool}"

    def log(self, server: str) -> list[str]:
        """Return what a server has written down."""
        path = self.folder / f"{server}-{self.over[server]}.log"
        return path.read_text(encoding="utf-8").split() if path.exists() else []


@dataclass(frozen=True)
class ClientSession:
    """A client of one kind, connected to one deployment."""

    client: ClientProcess
    deployment: Deployment
    version: str
    program: str

    @property
    def modern(self) -> bool:
        return self.version == MODERN

    def call(self, server: str, tool: str, **arguments: Any) -> Json:
        """Call a tool; return its result."""
        return self.client.call(self.deployment.named(server, tool), **arguments)

    def names(self) -> list[str]:
        """Return the names of all tools that are listed."""
        return [tool["name"] for tool in self.client.run("tools")["tools"]]

    def text(self, server: str, tool: str, **arguments: Any) -> str:
        """Call a tool; return the text that it answers."""
        result = self.call(server, tool, **arguments)
        assert not result.get("isError"), result
        return str(result["content"][0]["text"])


class Deployments:
    """Starts what the deployments need, once each."""

    def __init__(self, folder: Path, stack: ExitStack, programs: Programs, pythons: dict[str, str]) -> None:
        self.folder = folder
        self.stack = stack
        self.programs = programs
        self.pythons = pythons
        self._started: dict[str, Any] = {}

    def deployment(self, name: str) -> Deployment:
        """Return a deployment by its name: how the gateway is reached, and how the gateway behind it."""
        first, _, second = name.partition("-")
        mixture = {"stdio": ("stdio", "http"), "http": ("http", "stdio")}[first]
        over = {"everything": mixture[0], "mcp1": mixture[1], "fastmcp4": mixture[0]}
        config = self._once(f"{name} within", lambda: self._config(f"{name}-within", *self._entries(over)))
        if second:
            config = self._once(f"{name} before", lambda: self._config(f"{name}-before", self._inner(config, second)))
        target = self._url(config) if first == "http" else self._command(config)
        return Deployment(name, target, self.folder, over)

    def launcher(self, name: str) -> Launcher:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Launcher(folder, self.stack)

    def _once(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._started:
            self._started[key] = make()
        return self._started[key]

    def _config(self, name: str, *entries: Json) -> Path:
        return self.launcher(name).config(*entries)

    def _inner(self, config: Path, over: str) -> Json:
        reach = {"url": self._url(config)} if over == "http" else self._command(config)
        return {"name": "inner", "expose_tools": True, **reach}

    def _url(self, config: Path) -> str:
        return str(self._once(f"url {config}", lambda: self.launcher("gateways").start_http(config).url))

    def _command(self, config: Path) -> Json:
        environment = {"SERVER_CONFIG_PATH": str(config), "GATEWAY_LOG_FORMAT": "json"}
        return {"command": GATEWAY, "args": [], "env": environment}

    def _entries(self, over: dict[str, str]) -> list[Json]:
        return [
            {"name": server, "expose_tools": True, **(self._child(server) if how == "stdio" else self._service(server))}
            for server, how in over.items()
        ]

    def _program(self, server: str, how: str) -> list[str]:
        log = str(self.folder / f"{server}-{how}.log")
        return [self.pythons[server], str(FOLDER / f"server_{server}.py"), server, log]

    def _child(self, server: str) -> Json:
        if server == "everything":
            return {"command": self.programs.node, "args": [self.programs.script("server-everything"), "stdio"]}
        command, *arguments = self._program(server, "stdio")
        return {"command": command, "args": arguments}

    def _service(self, server: str) -> Json:
        return {"url": self._once(f"service {server}", lambda: self._serve(server))}

    def _serve(self, server: str) -> str:
        port, launcher = free_port(), self.launcher("services")
        environment = {**launcher.environment(Path("none")), "PORT": str(port)}
        if server == "everything":
            command = [self.programs.node, self.programs.script("server-everything"), "streamableHttp"]
        else:
            command = [*self._program(server, "http"), str(port)]
        process = launcher.start(command, environment)
        process.errors.until(lambda line: "listening" in line or "running on" in line)
        return f"http://127.0.0.1:{port}/mcp"

    def connect(self, stack: ExitStack, kind: str, deployment: str, answers: Json = ANSWERS) -> ClientSession:
        """Connect a client of some kind to a deployment, until the stack is closed."""
        program, mode, version = CLIENTS[kind]
        where = self.deployment(deployment)
        folder = self.folder / "clients"
        folder.mkdir(exist_ok=True)
        client = start_client(
            stack, folder, self.pythons[program], program, target=where.target, mode=mode, answers=answers
        )
        assert client.handshake_result[0] == version
        return ClientSession(client, where, version, program)
