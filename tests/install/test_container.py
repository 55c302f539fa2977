"""Every instruction of core/deploy/Containerfile, carried out in a chroot, and what comes of it, without a shell."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .support.environments import ROOT, version
from .support.images import Container, Images, end_gracefully, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")

PAGE = (ROOT / "core" / "docs" / "install.md").read_text(encoding="utf-8")
SERVERS = ROOT / "tests" / "e2e" / "servers"
PYTHON = "/opt/mcp-gateway/bin/python"
TOKEN = "a-token-of-the-test"
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container of the image that the page tells people to build."""
    images = Images(tmp_path_factory.mktemp("images"))
    images.make_base()
    (arguments,) = re.findall(r"^\$ podman build (.*)$", PAGE, re.MULTILINE)
    images.build(shlex.split(arguments))
    (image,) = re.findall(r"-t (\S+)", arguments)
    yield Container.of(images, image)
    images.buildah("rm", "--all", check=False)
    images.buildah("rmi", "--all", "--force", check=False)


def test_slow_the_program_runs_as_somebody_without_rights_and_without_a_shell(container: Container) -> None:
    settings = container.settings
    assert container.run(*settings["Entrypoint"], "--version").stdout == f"mcp-orchestration-gateway {version()}\n"
    assert container.run("/bin/sh", "-c", "true").returncode != 0
    looked = "import os; print(os.getuid(), os.getcwd(), *map(os.stat, ['.', '/run/mcp-gateway']), sep='|')"
    uid, folder, *owners = container.run(PYTHON, "-c", looked).stdout.split("|")
    assert (uid, folder) == (settings["User"].split(":")[0], settings["WorkingDir"])
    assert all("st_mode=16832, " in owner and f"st_uid={uid}" in owner for owner in owners)
    tried = container.run(PYTHON, "-c", "open('/opt/mcp-gateway/new', 'w')")
    assert "Permission denied" in tried.stderr


def test_slow_it_serves_says_that_it_is_healthy_and_ends_gracefully(container: Container, tmp_path: Path) -> None:
    with serving(container, tmp_path) as port:
        assert ask(port, None)[0] == 200
        assert container.run(*health(container), GATEWAY_PORT=str(port)).returncode == 0
    assert container.run(*health(container), GATEWAY_PORT=str(port)).returncode == 1


def test_slow_health_needs_no_token(container: Container, tmp_path: Path) -> None:
    with serving(container, tmp_path, GATEWAY_AUTH_TOKEN=TOKEN) as port:
        assert ask(port, None)[0] == 401
        assert ask(port, TOKEN)[0] == 200
        assert container.run(*health(container), GATEWAY_PORT=str(port)).returncode == 0


def test_slow_a_server_is_started_and_called_in_it(container: Container, tmp_path: Path) -> None:
    program = (*container.settings["Entrypoint"], "call", "plain__echo", '{"text": "hello"}')
    done = subprocess.run(
        container.command(*program, mounts=mounts(tmp_path)), capture_output=True, text=True, check=False, timeout=120
    )
    assert "hello" in done.stdout, done.stderr


def test_slow_the_page_mounts_what_the_image_reads_and_publishes_where_it_listens(container: Container) -> None:
    (line,) = re.findall(r"^\$ podman run (.*)$", PAGE, re.MULTILINE)
    environment = dict(word.split("=", 1) for word in container.settings["Env"])
    assert f":{environment['SERVER_CONFIG_PATH']}:ro" in line
    assert re.search(rf"-p 127\.0\.0\.1:\d+:{environment['GATEWAY_PORT']} ", line)
    assert f"{environment['GATEWAY_PORT']}/tcp" in container.settings["ExposedPorts"]


def health(container: Container) -> list[str]:
    """Return the command of the health check."""
    form, *command = container.settings["Healthcheck"]["Test"]
    assert form == "CMD"
    return list(command)


def mounts(folder: Path) -> tuple[str, ...]:
    """Write a file of servers; return what is to be mounted for it."""
    server = {"command": PYTHON, "args": ["/servers/plain.py", "stdio"]}
    file = folder / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"plain": server}}), encoding="utf-8")
    return f"{file}:/etc/mcp-gateway/servers.json:ro", f"{SERVERS}:/servers:ro"


@contextmanager
def serving(container: Container, folder: Path, **variables: str) -> Iterator[int]:
    """Serve at a port of this machine; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = container.settings["Entrypoint"] + container.settings["Cmd"]
    variables |= {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "GATEWAY_LOG_FORMAT": "json"}
    command = container.command(*program, mounts=mounts(folder), **variables)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        events = (json.loads(line) for line in process.stderr if line.startswith("{"))
        assert next(itertools.islice((event for event in events if event["event"] == "ready"), 1), None)
        yield port
        end_gracefully(process, program[0])
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, said
    finally:
        process.kill()
        process.communicate(timeout=60)


def ask(port: int, token: str | None) -> tuple[int, bytes]:
    """Send the first message of a client; return the status and the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("POST", "/mcp", json.dumps(HELLO), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
