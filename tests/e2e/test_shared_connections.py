"""Many users over few connections, as behind a proxy that shares them: each call has its own credentials."""

from __future__ import annotations

import itertools
import json
import random
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .support.gateways import HERE, WAIT_SECONDS, Launcher, free_port, until
from .support.load_balancer import haproxy, nginx, start_proxy
from .support.raw_clients import HANDSHAKE, MODERN, HttpClient, add_envelope

TOKEN = "the-gateways-own-token"
IDS = itertools.count(1000)  # of one session no two requests at a time may have the same
NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
MOST_WRONG_TOKENS = 5
"""How many of these are sent over each connection: the answers take longer and longer."""

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream gateway {{ server 127.0.0.1:{gateway}; keepalive 2; }}
    server {{
        listen 127.0.0.1:{front};
        keepalive_requests 100000;
        location / {{
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_buffering off;
        }}
    }}
}}
"""
HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
frontend users
    bind 127.0.0.1:{front}
    default_backend gateway
backend gateway
    http-reuse always
    option forwardfor
    server one 127.0.0.1:{gateway} maxconn 2
"""


@dataclass(frozen=True)
class User:
    """A user with a credential of his own, in one of the eras."""

    name: str
    session: str | None

    @property
    def era(self) -> str:
        return MODERN if self.session is None else HANDSHAKE

    def request(self, method: str, params: dict[str, Any], *, token: str = TOKEN, session: str | None = None) -> bytes:
        lines = [f"mcp-protocol-version: {self.era}"]
        lines += [f"authorization: Bearer {self.name}", f"x-mcp-gateway-token: {token}"] if token else []
        if self.session is None:
            params = add_envelope(params)
            lines += [f"mcp-method: {method}", *([f"mcp-name: {params['name']}"] if "name" in params else [])]
        else:
            lines.append(f"mcp-session-id: {session or self.session}")
        body = json.dumps({"jsonrpc": "2.0", "id": next(IDS), "method": method, "params": params}).encode()
        lines += ["content-type: application/json", "accept: application/json, text/event-stream"]
        head = "\r\n".join(["POST /mcp HTTP/1.1", "host: localhost", *lines, f"content-length: {len(body)}", "", ""])
        return head.encode() + body

    def call(self) -> bytes:
        return self.request("tools/call", {"name": "whose__whose", "arguments": {}})


class KeepAliveConnection:
    """A connection that stays open, and carries one request after the other."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return status and body of the answer."""
        self._socket.sendall(request)
        status = int(self._file.readline().split()[1])
        headers = dict(line.lower().split(b": ", 1) for line in iter(lambda: self._file.readline().strip(), b""))
        assert headers.get(b"connection") != b"close", (status, headers)
        if b"content-length" in headers:
            return status, self._file.read(int(headers[b"content-length"]))
        body = b""
        while size := int(self._file.readline(), 16):
            body += self._file.read(size)
            self._file.readline()
        self._file.readline()
        return status, body

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@dataclass
class UserPool:
    """Eight users, and what became of their requests over two connections."""

    users: list[User]
    wrong: list[str] = field(default_factory=list)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)

    def send_calls(self, connections: dict[str, KeepAliveConnection], calls: int, seed: int) -> None:
        """Call as the users in any order, with other requests in between."""
        chosen, wrong_tokens = random.Random(seed), 0
        senders = [user for user in self.users if user.name in connections]
        for _ in range(calls):
            user = chosen.choice(senders)
            status, body = connections[user.name].ask(user.call())
            if status != 200 or text_of(body) != f"Bearer {user.name}":
                self.wrong.append(f"{user.name} ({user.era}) got {status} {body!r}")
            while chosen.random() < 0.2:
                other = chosen.choice(senders)
                kinds = ("wrong session", "session of another") if other.session else ()
                kind = chosen.choice(("listing", "no token", "wrong token", *kinds))
                if kind == "wrong token" and (wrong_tokens := wrong_tokens + 1) > MOST_WRONG_TOKENS:
                    continue
                status, _ = connections[other.name].ask(self.between(other, kind))
                self.statuses[kind if other.session else "modern " + kind, status] += 1

    def between(self, user: User, kind: str) -> bytes:
        """Return what is no call, or what is refused."""
        params = {"name": "whose__whose", "arguments": {}}
        sessions = [other.session for other in self.users if other.session and other is not user]
        match kind:
            case "no token":
                return user.request("tools/call", params, token="")
            case "wrong token":
                return user.request("tools/call", params, token=TOKEN[:-1] + "x")
            case "wrong session":
                return user.request("tools/call", params, session="0" * 32)
            case "session of another":
                return user.request("tools/call", params, session=sessions[0])
        return user.request("ping" if user.session else "prompts/list", {})


def text_of(body: bytes) -> str:
    """Return the text of a tool's answer, which may be an event of a stream."""
    message = json.loads(body.rpartition(b"data: ")[2])
    return str(message.get("result", {}).get("content", [{}])[0].get("text"))


@contextmanager
def open_user_pool(launcher: Launcher, **variables: str) -> Iterator[tuple[UserPool, int]]:
    """Start a server and a gateway; yield the users, who have connected before, and the gateway's port."""
    server = launcher.start([sys.executable, str(HERE / "servers" / "whose.py")], {})
    assert server.popen.stdout is not None
    url = f"http://127.0.0.1:{server.popen.stdout.readline().strip()}/mcp"
    config = launcher.config({"name": "whose", "url": url, "auth_type": "forward"})
    gateway = launcher.start_http(config, GATEWAY_AUTH_TOKEN=TOKEN, **variables)
    users = []
    for number, name in enumerate(NAMES):
        headers = {"authorization": f"Bearer {name}", "x-mcp-gateway-token": TOKEN}
        client = HttpClient(gateway.url, modern=bool(number % 2), headers=headers)
        users.append(User(name, client._session.get("mcp-session-id")))

        def is_known(client: HttpClient = client) -> bool:
            return "content" in client.call("whose__whose", {}).get("result", {})

        until(is_known, "the server is there")
    yield UserPool(users), int(gateway.url.split(":")[2].partition("/")[0])


def run_users(pool: UserPool, port: int, calls: int, *, connection_for_each: bool) -> None:
    """Run two threads of users: over one connection each for all, or over one for each user."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as threads:
        groups = []
        for group in (NAMES[:4], NAMES[4:]):
            shared = KeepAliveConnection(port)
            stack.callback(shared.close)
            connections = {
                name: KeepAliveConnection(port) if connection_for_each else shared
                for name in (group if connection_for_each else NAMES)
            }
            for connection in connections.values():
                stack.callback(connection.close)
            groups.append(connections)
        for work in [
            threads.submit(pool.send_calls, connections, calls // 2, seed) for seed, connections in enumerate(groups)
        ]:
            work.result()
    assert pool.wrong == [], f"{len(pool.wrong)} of {calls}"
    assert set(pool.statuses) == {
        ("listing", 200),
        ("no token", 401),
        ("wrong token", 401),
        ("wrong session", 404),
        ("session of another", 404),
        ("modern listing", 200),
        ("modern no token", 401),
        ("modern wrong token", 401),
    }


def test_eight_users_over_two_connections_each_call_with_their_own_credentials(launcher: Launcher) -> None:
    with open_user_pool(launcher) as (pool, port):
        run_users(pool, port, 4000, connection_for_each=False)


@pytest.mark.parametrize("proxy", ["nginx", "haproxy"])
def test_behind_a_proxy_that_shares_connections_each_call_goes_out_with_its_own_credentials(
    launcher: Launcher, proxy: str
) -> None:
    program = {"nginx": nginx, "haproxy": haproxy}[proxy]()
    with open_user_pool(launcher) as (pool, port):
        front, path = free_port(), Path(launcher.folder) / f"{proxy}.conf"
        written = {"nginx": NGINX, "haproxy": HAPROXY}[proxy]
        path.write_text(written.format(folder=launcher.folder, gateway=port, front=front), encoding="utf-8")
        command = [program, "-c", str(path)] if proxy == "nginx" else [program, "-db", "-f", str(path)]
        start_proxy(launcher, command, front)
        run_users(pool, front, 3000, connection_for_each=True)
