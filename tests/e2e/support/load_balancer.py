"""A real load balancer, with the configuration that core/docs/replicas.md gives, in front of gateways of a test."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .gateways import GATEWAY, HttpGateway, Launcher, Process, free_port, until

PAGE = Path(__file__).parents[3] / "core" / "docs" / "replicas.md"
NAMES = ("one", "two", "three")


def haproxy() -> str:
    """Return the program; without it a test is skipped on somebody's own machine, and fails in CI."""
    return _program("haproxy", "haproxy")


def nginx() -> str:
    """Return the program; without it a test is skipped on somebody's own machine, and fails in CI."""
    return _program("nginx", "nginx-light")


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is missing: apt-get install {package}")
    return str(found)


def start_proxy(launcher: Launcher, command: list[str], port: int) -> None:
    """Start a proxy; wait until it listens."""
    process = launcher.start(command, dict(os.environ))
    until(lambda: _listens(port) or process.popen.poll() is not None, f"{command[0]} listens")
    assert process.popen.poll() is None, f"{command[0]} has ended: {process.popen.communicate()}"


@dataclass
class Replicas:
    """Three gateways at ports that they keep, and a load balancer in front of them."""

    launcher: Launcher
    config: Path
    variables: dict[str, str]
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES})
    running: dict[str, HttpGateway] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start gateways at the same time, and wait until all can be connected to."""
        started: dict[str, Process] = {}
        for name in names:
            where = {"GATEWAY_TRANSPORT": "http", "GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.ports[name])}
            environment = self.launcher.environment(self.config, **where, **self.variables)
            started[name] = self.launcher.start([GATEWAY], environment)
        for name, process in started.items():
            self.running[name] = HttpGateway(process.popen, process.errors, process.wait_for("ready")["where"])

    def kill(self, name: str) -> None:
        """End a gateway as a power cut does."""
        self.running.pop(name).end(signal.SIGKILL)

    def balanced(self) -> str:
        """Start the load balancer; return the URL of all gateways."""
        front = free_port()
        text = configuration(front, self.ports)
        path = self.launcher.folder / "haproxy.cfg"
        path.write_text(text, encoding="utf-8")
        process = self.launcher.start([haproxy(), "-db", "-f", str(path)], dict(os.environ))
        until(lambda: _listens(front) or process.popen.poll() is not None, "haproxy listens")
        assert process.popen.poll() is None, process.errors.until(lambda line: "ALERT" in line)
        return f"http://127.0.0.1:{front}/mcp"


def configuration(front: int, ports: dict[str, int]) -> str:
    """Return the page's configuration with the ports of a test, and a header that tells which gateway has answered."""
    block = re.search(r"^```haproxy\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert block is not None, "the page has no configuration of haproxy"
    written, ours = block[1], iter(ports.values())
    assert len(re.findall(r"^ +server ", written, re.MULTILINE)) == len(ports)
    written = re.sub(r"( server \w+) [\w.]+:\d+", lambda found: f"{found[1]} 127.0.0.1:{next(ours)}", written)
    written = re.sub(r"bind \S+", f"bind 127.0.0.1:{front}", written)
    return f"{written}    http-response set-header x-served-by %s\n"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
