"""A gateway is never behind itself: on any way, alone and in rings with others, also after a restart."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from .support.gateways import BIN, GATEWAY, HERE, HttpGateway, Json, Launcher, free_port, plain_entry, read_log, until
from .support.programs import install_python
from .support.raw_clients import HttpClient, StdioClient

ERAS = ("handshake", "modern")
ITSELF = "leads back to this gateway"


def find_descendants(pid: int) -> dict[int, str]:
    """Return the processes that come from one, with their command lines."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, layer = set[int](), {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer} - found
        found |= layer
    lines: dict[int, str] = {}
    for child in found:
        try:
            lines[child] = (Path("/proc") / str(child) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return lines


def count_gateways(pid: int) -> int:
    """Count the gateways in a tree of processes, its root included; shells that start them do not count."""
    names = ("/mcp-orchestration-gateway", "/mcp-gateway")
    return 1 + sum(
        any(name in line for name in names) for line in find_descendants(pid).values() if "sh -c" not in line
    )


def write_shell(folder: Path, name: str, line: str) -> str:
    """Write a program that hides what it starts."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)
    return str(program)


def names_of(client: StdioClient | HttpClient) -> set[str]:
    tools = client.ask("tools/list", {})["result"]["tools"]
    prompts = client.ask("prompts/list", {})["result"]["prompts"]
    return {item["name"] for item in [*tools, *prompts]}


def notes_of(client: StdioClient | HttpClient) -> str:
    found = client.call("tool_search", {"query": "anything"})["result"]["structuredContent"]
    return "\n".join(found["servers"])


@pytest.mark.parametrize("era", ERAS)
def test_a_clients_own_file_starts_no_second_gateway(launcher: Launcher, era: str) -> None:
    path = launcher.folder / "claude_desktop_config.json"
    plain = plain_entry("demo", expose_tools=True)
    demo = {key: plain[key] for key in ("command", "args", "expose_tools")}
    gateway = {"command": "mcp-orchestration-gateway", "env": {"SERVER_CONFIG_PATH": str(path)}}
    path.write_text(json.dumps({"mcpServers": {"demo": demo, "gateway": gateway}}), encoding="utf-8")
    process = launcher.start([GATEWAY], launcher.environment(path))
    client = StdioClient(process, era == "modern")
    until(lambda: "demo__echo" in names_of(client), "the other server is there")
    assert "gateway: not used: its command starts this gateway itself" in notes_of(client)
    assert count_gateways(process.popen.pid) == 1
    if era == "handshake":
        assert "server 'gateway' is left out: its command" in client.handshake_result["instructions"]
        checked = launcher.run("check", "--connect", config=path)
        assert checked.returncode == 0, checked.stdout
        assert f"warning: {path}: server 'gateway': left out: its command starts this gateway itself" in checked.stdout


def test_a_gateway_that_a_strange_program_starts_again_is_left_out(launcher: Launcher) -> None:
    path = launcher.folder / "servers.json"
    hidden = write_shell(launcher.folder, "tool", f"exec {GATEWAY} --config {path}")
    config = launcher.config({"name": "me", "command": hidden}, plain_entry("demo", expose_tools=True))
    assert config == path
    process = launcher.start([GATEWAY], launcher.environment(config))
    client = StdioClient(process, modern=True)
    assert ITSELF in process.wait_for("server left out")["reason"]
    until(lambda: "demo__echo" in names_of(client), "the other server is there")
    until(lambda: count_gateways(process.popen.pid) == 1, "the other gateway has ended")
    assert f"me: not used: it {ITSELF}" in notes_of(client)
    checked = launcher.run("check", "--connect", config=config)
    assert checked.returncode == 0
    assert f"server 'me' is left out: it {ITSELF}" in checked.stdout


def test_a_ring_of_child_processes_ends_at_the_first_file_that_was_there_already(launcher: Launcher) -> None:
    length = 3
    files = [launcher.config() for _ in range(length)]
    for at, file in enumerate(files):
        following = files[(at + 1) % length]
        line = f"exec {GATEWAY} --config {following} 2>>{following}.log"
        entry = {"name": f"n{at}", "command": "sh", "args": ["-c", line]}
        file.write_text(json.dumps({"servers": [entry]}), encoding="utf-8")
    process = launcher.start([GATEWAY], launcher.environment(files[0]))
    client = StdioClient(process, modern=True)
    log = Path(f"{files[-1]}.log")
    until(lambda: log.exists() and "server left out" in log.read_text(), "the last one leaves the first one out")
    until(lambda: count_gateways(process.popen.pid) == length, "each file is served once")
    assert ITSELF not in notes_of(client)


@contextmanager
def forward_port(port: int) -> Iterator[int]:
    """Lead another port to one, as a tunnel or a proxy does."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as stack:

        def pump(source: socket.socket, target: socket.socket) -> None:
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                return

        def accept() -> None:
            while True:
                try:
                    near, _ = listening.accept()
                    far = socket.create_connection(("127.0.0.1", port))
                except OSError:
                    return
                for one, other in ((near, far), (far, near)):
                    stack.callback(one.close)
                    threading.Thread(target=pump, args=(one, other), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)


def test_its_own_url_is_known_by_every_name_and_through_a_tunnel(launcher: Launcher) -> None:
    port = free_port()
    names = ["127.0.0.1", "localhost", "0.0.0.0", "LOCALHOST.", "127.1", socket.gethostname()]
    with forward_port(port) as tunnel:
        entries = [{"name": f"me{at}", "url": f"http://{name}:{port}/mcp"} for at, name in enumerate(names)]
        bridge = {"name": "bridge", "command": "npx", "args": ["-y", "mcp-remote", f"http://localhost:{port}/mcp"]}
        hidden = {"name": "tunnel", "url": f"http://127.0.0.1:{tunnel}/mcp"}
        config = launcher.config(*entries, bridge, hidden, plain_entry("demo"))
        gateway = launcher.start_http(config, GATEWAY_HOST="0.0.0.0", GATEWAY_PORT=str(port))
        left_out = gateway.wait_for("server left out")
        assert left_out["server"] == "tunnel"
        client = HttpClient(f"http://127.0.0.1:{port}/mcp", modern=True)
        until(lambda: any("demo__" in name for name in names_of(client)), "the prompts of the other server are there")
        notes = notes_of(client)
        for name in [*(entry["name"] for entry in entries), "bridge"]:
            assert f"{name}: not used: its URL leads to this gateway itself" in notes
        assert f"tunnel: not used: it {ITSELF}" in notes
        assert not [name for name in names_of(client) if name.startswith(("me", "bridge", "tunnel"))]


HideFn = Callable[[str], Json]


class Ring:
    """Gateways over HTTP, each with the next one and a server of its own behind it."""

    def __init__(self, folder: Path, stack: ExitStack, length: int, hide: HideFn = lambda url: {"url": url}) -> None:
        """Configure the gateways; `hide` returns how the first one reaches the next."""
        self.ports = [free_port() for _ in range(length)]
        self.launchers = [Launcher(folder / str(at), stack) for at in range(length)]
        self.configs = []
        for at, launcher in enumerate(self.launchers):
            launcher.folder.mkdir()
            url = f"http://127.0.0.1:{self.ports[(at + 1) % length]}/mcp"
            following = {"name": "next", **({"url": url} if at else hide(url))}
            self.configs.append(launcher.config(following, plain_entry("demo")))

    def start(self, at: int) -> HttpGateway:
        return self.launchers[at].start_http(self.configs[at], GATEWAY_PORT=str(self.ports[at]))

    def client(self, at: int) -> HttpClient:
        return HttpClient(f"http://127.0.0.1:{self.ports[at]}/mcp", modern=True)


def find_cuts(ring: Ring) -> list[int]:
    """Return the gateways that have left the next one out."""
    return [at for at in range(len(ring.ports)) if f"next: not used: it {ITSELF}" in notes_of(ring.client(at))]


def check_depths(ring: Ring) -> None:
    """Check that no name goes around the ring."""
    for at in range(len(ring.ports)):
        assert max(name.count("next__") for name in names_of(ring.client(at))) < len(ring.ports)


def test_a_ring_of_two_over_http_is_opened_at_one_place_also_when_one_is_started_anew(tmp_path: Path) -> None:
    with ExitStack() as stack:
        ring = Ring(tmp_path, stack, 2)
        gateways = [ring.start(at) for at in range(2)]
        assert len(until(lambda: find_cuts(ring), "the ring is open")) == 1
        check_depths(ring)
        gateways[0].end()
        ring.start(0)
        until(lambda: find_cuts(ring), "the ring is open again")
        check_depths(ring)


def test_a_ring_of_three_over_http_is_opened_at_one_place(tmp_path: Path) -> None:
    with ExitStack() as stack:
        ring = Ring(tmp_path, stack, 3)
        for at in range(3):
            ring.start(at)
        assert len(until(lambda: find_cuts(ring), "the ring is open")) == 1
        check_depths(ring)


PROXY = str(HERE / "servers" / "proxy.py")


@pytest.fixture(scope="session")
def mcp_proxy() -> list[str]:
    """The command of the proxy that PyPI has."""
    return [install_python("mcp-proxy", "mcp-proxy>=0.13,<1"), "-m", "mcp_proxy"]


def hide_by_child(url: str) -> Json:
    """Put a proxy that is a child process before a URL."""
    return {"command": sys.executable, "args": [PROXY, url, "legacy", "stdio"]}


def hide_by_port(launcher: Launcher, url: str) -> Json:
    """Put a proxy that serves over HTTP before a URL."""
    port = str(free_port())
    process = launcher.start([sys.executable, PROXY, url, "auto", "http", port], dict(os.environ))
    process.errors.until(lambda line: "running on" in line)
    return {"url": f"http://127.0.0.1:{port}/mcp"}


def check_open(ring: Ring) -> None:
    """Check that one gateway of a ring leaves the next one out, and that `check` says so."""
    for at in range(len(ring.ports)):
        ring.start(at)
    assert len(until(lambda: find_cuts(ring), "the ring is open")) == 1
    check_depths(ring)
    checked = ring.launchers[0].run("check", "--connect", config=ring.configs[0])
    assert f"server 'next' is left out: it {ITSELF}" in checked.stdout


def test_a_gateway_behind_a_proxy_of_its_own_is_left_out(tmp_path: Path) -> None:
    with ExitStack() as stack:
        check_open(Ring(tmp_path, stack, 1, hide_by_child))


def test_a_ring_with_a_proxy_that_shakes_hands_anew_is_opened_at_one_place(launcher: Launcher) -> None:
    with ExitStack() as stack:
        check_open(Ring(launcher.folder, stack, 2, partial(hide_by_port, launcher)))


def test_a_ring_with_a_published_proxy_is_opened_at_one_place(tmp_path: Path, mcp_proxy: list[str]) -> None:
    command, *options = mcp_proxy
    with ExitStack() as stack:
        check_open(
            Ring(
                tmp_path,
                stack,
                2,
                lambda url: {"command": command, "args": [*options, "--transport", "streamablehttp", url]},
            )
        )


def test_a_gateway_behind_a_proxy_is_a_server_like_any_other(launcher: Launcher) -> None:
    inner = launcher.start_http(launcher.config(plain_entry("demo")))
    config = launcher.config({"name": "next", **hide_by_child(inner.url), "expose_tools": True})
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=True)
    until(lambda: "next__tool_search" in names_of(client), "its tools are there")
    assert ITSELF not in notes_of(client)


@pytest.mark.parametrize("era", ERAS)
def test_a_server_with_a_tool_of_the_same_name_is_not_asked(launcher: Launcher, era: str) -> None:
    log = launcher.folder / "log"
    entry = plain_entry("demo", log, "--era", era, "--tool", "tool_search", expose_tools=True)
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(launcher.config(entry))), modern=True)
    until(lambda: "demo__tool_search" in names_of(client), "its tools are there")
    assert client.call("demo__tool_search", {})["result"]
    assert len(read_log(log, "tools/call")) == 1


def test_what_a_client_claims_of_a_chain_harms_only_that_client(launcher: Launcher) -> None:
    gateway = launcher.start_http(launcher.config(plain_entry("demo", expose_tools=True)))
    liar = HttpClient(gateway.url, modern=True)
    for chain in ("x" * 100_000, "0" * 16, ",".join(["0" * 16 + "." + "f" * 16] * 20), 5, None, ["a"], {"a": 1}):
        meta: Json = {"_meta": {"mcp-orchestration-gateway/chain": chain}}
        assert "result" in liar.ask("server/discover", meta)
        asked = liar.ask("mcp-orchestration-gateway/trace", {"chain": chain, "trace": "x" * 10_000, "steps": -1})
        assert asked["result"]["loop"] == []
        query = f"mcp-orchestration-gateway/trace {chain} {'ab' * 10} 1"
        assert not liar.call("tool_search", {"query": query})["result"]["structuredContent"].get("loop")
    client = HttpClient(gateway.url, modern=False)
    until(lambda: "demo__echo" in names_of(client), "others see what there is")


def test_a_second_gateway_with_a_file_of_its_own_is_a_server_like_any_other(launcher: Launcher) -> None:
    inner = launcher.config(plain_entry("demo"))
    entry = {"name": "second", "command": GATEWAY, "env": {"SERVER_CONFIG_PATH": str(inner)}, "expose_tools": True}
    process = launcher.start([GATEWAY], launcher.environment(launcher.config(entry)))
    client = StdioClient(process, modern=True)
    until(lambda: "second__tool_search" in names_of(client), "its tools are there")
    assert count_gateways(process.popen.pid) == 2
    assert process.end(signal.SIGTERM) in (0, -signal.SIGTERM)


def test_at_most_eight_gateways_stand_one_behind_another(launcher: Launcher) -> None:
    chain = ",".join(f"{at:016x}.{at:016x}" for at in range(8))
    config = launcher.config(plain_entry("demo"))
    process = launcher.start([GATEWAY], launcher.environment(config, MCP_GATEWAY_CHAIN=chain))
    client = StdioClient(process, modern=True)
    assert "8 gateways stand in front of this one already" in notes_of(client)
    assert not names_of(client) - {"tool_search", "discover_tools", "call_remote_tool"}


def test_the_entry_is_left_out_when_it_is_added_while_the_gateway_serves(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("demo"))
    gateway = launcher.start_http(config, GATEWAY_CONFIG_RELOAD="0.05")
    entry = {"name": "me", "command": str(BIN / "mcp-gateway")}
    launcher.folder.joinpath("next.json").write_text(json.dumps({"servers": [entry]}), encoding="utf-8")
    os.replace(launcher.folder / "next.json", config)  # noqa: PTH105  # atomic
    assert "its command starts this gateway itself" in gateway.wait_for("configuration warning")["reason"]
    gateway.wait_for("configuration reloaded")
    assert count_gateways(gateway.popen.pid) == 1
    assert shutil.which("mcp-gateway", path=str(BIN))
