"""The yardsticks: no gateway at all, and proxies that do next to nothing, so that the others can be told in ratios."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ..environments import PythonEnvironment, Unavailable
from .base import AUTHORIZATION, Launch, Peer, Place

PROGRAMS = Path(__file__).parent.parent / "programs"
ENVIRONMENT = PythonEnvironment("yardsticks", ("uvloop", "httptools", "orjson", "uvicorn"))


class Yardstick(Peer):
    """It serves one server only, and names its tools as that one does."""

    aggregates = False

    def tool(self, _server: str, tool: str) -> str:
        return tool


class Direct(Yardstick):
    name, about, language = "direct", "no gateway: the load client calls the server itself", "C"
    pairs = ("http-http", "stdio-stdio")

    def version(self) -> str:
        return "-"

    def launch(self, place: Place) -> Launch:
        server = place.servers[0]
        headers = {"Authorization": AUTHORIZATION} if place.credentials else {}
        return Launch(port=int(server.port), headers=headers) if server.url else Launch(server.command)


class Raw(Yardstick):
    name = "raw"
    about = "minimal proxy: parses and writes JSON both ways with orjson, on uvloop {version}"

    def version(self) -> str:
        return ENVIRONMENT.version("uvloop")

    def call(self, _server: str, tool: str, arguments: dict[str, object]) -> tuple[str, dict[str, object]]:
        return f"d__{tool}", arguments  # it takes three letters away, and that is all it does

    def launch(self, place: Place) -> Launch:
        server = place.servers[0]
        listen = ("--http", str(place.port)) if place.over_http else ("--stdio",)
        onward = ("--to-http", server.port) if server.url else ("--to-stdio", *server.command)
        return Launch((ENVIRONMENT.program("python"), str(PROGRAMS / "raw_proxy.py"), *listen, *onward))


class Asgi(Raw):
    name = "asgi"
    about = "minimal ASGI endpoint under uvicorn {version} with uvloop and httptools"
    pairs = ("http-http",)
    options = ("--loop", "uvloop", "--http", "httptools")

    def version(self) -> str:
        return ENVIRONMENT.version("uvicorn")

    def launch(self, place: Place) -> Launch:
        where = ("--app-dir", str(PROGRAMS), "--port", str(place.port), "--no-access-log", "--log-level", "error")
        command = (ENVIRONMENT.program("uvicorn"), "asgi_proxy:app", *where, *self.options)
        return Launch(command, {"UPSTREAM_PORT": place.servers[0].port})


class PlainAsgi(Asgi):
    name = "asgi-plain"
    about = "the same with h11 and the standard event loop, as uvicorn {version} is installed by default"
    options = ("--loop", "asyncio", "--http", "h11")


class Nginx(Yardstick):
    name, about, language, pairs = "nginx", "nginx {version} as a plain proxy, one process", "C", ("http-http",)

    def version(self) -> str:
        program = self._program()
        said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stderr
        return said.strip().split("/")[-1].split(" ")[0]

    @staticmethod
    def _program() -> str:
        found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
        if not found:
            raise Unavailable("nginx is not installed on this machine")
        return found

    def launch(self, place: Place) -> Launch:
        folder, upstream = place.folder, place.servers[0].url.split("/")[2]
        spools = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        configuration = f"""
daemon off; master_process off; worker_processes 1; error_log stderr error; pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/body; {spools}
  keepalive_requests 100000000; client_body_buffer_size 64k; tcp_nodelay on;
  proxy_buffers 16 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k;
  upstream server {{ server {upstream}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{place.port} backlog=4096;
    location / {{ proxy_pass http://server; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
        path = place.write("nginx.conf", configuration)
        return Launch((self._program(), "-c", path, "-p", str(folder), "-e", "stderr"))
