"""Entries that lead to the gateway that reads them: on every way, and nothing else."""

from __future__ import annotations

import os
import re
import socket

import pytest

from mcp_gateway.loops.own_entries import OwnEntries

SCRIPT = "#!/usr/bin/python3\nimport sys\nfrom mcp_gateway{} import main\nsys.exit(main())\n"
NAME = "mcp-orchestration-gateway"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Folders with programs of ours, and those of others with our second name."""
    for folder, name, module in (
        ("ours", NAME, ".cli.main"),
        ("ours", "mcp-gateway", "_cli.main"),
        ("ours", "renamed", "_cli.main"),
        ("theirs", "mcp-gateway", ".server"),
        ("theirs", "other", ".server"),
    ):
        file = tmp_path / folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(SCRIPT.format(module))
        file.chmod(0o755)
    (tmp_path / "ours" / "link").symlink_to(tmp_path / "ours" / NAME)
    (tmp_path / "ours" / "link-of-link").symlink_to("link")
    (tmp_path / "servers.json").write_text("{}")
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "linked.json").symlink_to("servers.json")
    (tmp_path / "own.env").write_text("SERVER_CONFIG_PATH=servers.json\n")
    (tmp_path / "other.env").write_text("SERVER_CONFIG_PATH=other.json\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def own(place):
    environ = {"PATH": os.defpath}
    return OwnEntries(place / "servers.json", ("http://0.0.0.0:8765/mcp", "https://gateway.example/mcp"), environ)


def split(line, place):
    """Split a line of the tables: words by `·`, as quotes are part of some."""
    return [re.sub(r"^@(?=/)|@@", str(place), word) for word in line.split(" · ")]


COMMANDS = [
    NAME,
    f"{NAME} · serve",
    f"{NAME}.exe",
    f"C:\\Python\\Scripts\\{NAME}.exe",
    f"/opt/elsewhere/bin/{NAME}",
    f"@/ours/{NAME}",
    "@/ours/mcp-gateway",
    "@/ours/renamed",
    "@/ours/link",
    "@/ours/link-of-link",
    "mcp-gateway",
    "mcp-gateway · serve · --transport · stdio",
    "python3 · -m · mcp_gateway",
    "python · -m · mcp_gateway.main",
    "python3.12 · -u · -X · utf8 · -m · mcp_gateway.cli.main",
    "/opt/venv/bin/python · -Im · mcp_gateway_cli",
    "python3 · -mmcp_gateway_cli.main",
    "py · -3.12 · -m · mcp_gateway",
    f"python3 · /opt/venv/bin/{NAME}",
    "python3 · /opt/venv/lib/python3.12/site-packages/mcp_gateway/main.py",
    "python3 · -c · from mcp_gateway.cli.main import main; main()",
    "python3 · -c · import runpy; runpy.run_module('mcp_gateway', run_name='__main__')",
    f"uvx · {NAME}",
    f"uvx · {NAME}@latest",
    f"uvx · --python · 3.12 · --with · mcp-gateway-ranker-hybrid · {NAME}",
    f"uvx · --from · {NAME}[hybrid]==0.2 · mcp-gateway",
    f"uvx · --from · git+https://git.example/us/{NAME}.git@main · {NAME}",
    f"uvx · --from · /src/{NAME} · mcp-gateway",
    "uvx · mcp_orchestration_gateway",
    f"/home/me/.local/bin/uv · tool · run · {NAME}",
    f"uv · --quiet · tool · run · --from · {NAME} · mcp-gateway",
    f"uv · run · {NAME}",
    f"uv · run · --directory · /src/gateway · --extra · all · {NAME}",
    "uv · run · --project · /src/gateway · python · -m · mcp_gateway.main",
    "uv · run · -m · mcp_gateway",
    f"uv · --directory · /src/gateway · run · -- · {NAME}",
    f"python3 · -m · uv · tool · run · {NAME}",
    f"pipx · run · {NAME}",
    f"pipx · run · --spec · {NAME}==0.2 · mcp-gateway",
    f"poetry · -C · /src · run · {NAME}",
    f"conda · run · -n · tools · --no-capture-output · {NAME}",
    f"hatch · run · {NAME}",
    f"sh · -c · {NAME}",
    f"sh · -c · exec {NAME} 2>/tmp/log",
    f"bash · -lc · cd /tmp && uvx {NAME}",
    f"bash · --login · -c · source ~/.profile; {NAME} serve",
    f"/bin/zsh · -ic · if true; then {NAME}; fi",
    f'bash · -c · export PATH=/x:$PATH\nexec {NAME} "$@"',
    f"sh · -c · bash -c \"env A=1 nice uvx '{NAME}'\"",
    f"env · {NAME}",
    f"/usr/bin/env · -i · -u · X · A=b · {NAME}",
    f"env · -S · A=b {NAME} serve",
    f"cmd · /c · {NAME}",
    f"cmd.exe · /d · /s · /c · set A=b && uvx · {NAME}",
    "C:\\Windows\\System32\\cmd.exe · /C · npx · -y · mcp-remote · http://localhost:8765/mcp",
    f"powershell · -NoProfile · -Command · {NAME}",
    f"pwsh · -c · & 'C:\\tools\\{NAME}.exe'",
    f"nice · -n · 10 · {NAME}",
    f"nohup · ionice · -c · 3 · {NAME}",
    f"timeout · -k · 5 · 3600 · {NAME}",
    f"stdbuf · -oL · {NAME}",
    f"sudo · -u · me · -E · A=b · {NAME}",
    f"flock · -n · /tmp/lock · {NAME}",
    f"dotenv · -f · x.env · run · -- · {NAME}",
    f"op · run · --env-file · x.env · -- · uvx · {NAME}",
    f"wsl · -d · Ubuntu · -- · bash · -lc · {NAME}",
    f"wsl · -e · {NAME}",
    f"docker · run · -i · --rm · ghcr.io/us/{NAME}:latest",
    f"docker · run · --rm · -i · python:3.12 · uvx · {NAME}",
    f"podman · run · -i · --entrypoint · {NAME} · registry.example/tools",
    f"docker · run · -i · -v · @@/servers.json:/x.json · -e · SERVER_CONFIG_PATH=/x.json · x/{NAME}",
    f"docker · run · -i · --mount · type=bind,source=@@,target=/x,readonly · x/{NAME} · --config · /x/servers.json",
    f"{NAME} · --config · @/servers.json",
    f"{NAME} · --config=servers.json",
    f"env · SERVER_CONFIG_PATH=linked.json · {NAME}",
    f"sh · -c · SERVER_CONFIG_PATH=~/servers.json {NAME}",
    f"sh · -c · export SERVER_CONFIG_PATH=$HOME/servers.json; {NAME}",
    f"env · GATEWAY_ENV_FILE=own.env · {NAME}",
    # Bridges.
    "npx · -y · mcp-remote · http://localhost:8765/mcp",
    "npx · mcp-remote@0.1.16 · http://127.0.0.1:8765/mcp · --allow-http",
    "npx · -p · mcp-remote · mcp-remote · http://localhost:8765/mcp",
    "npx · -c · mcp-remote http://localhost:8765/mcp",
    "npm · exec · -y · mcp-remote · -- · http://localhost:8765/mcp",
    "bunx · mcp-remote · https://gateway.example/mcp/",
    "pnpm · dlx · mcp-remote · http://localhost:8765/mcp",
    "node · /x/node_modules/mcp-remote/dist/proxy.js · http://localhost:8765/mcp",
    "uvx · mcp-proxy · --transport · streamablehttp · http://localhost:8765/mcp",
    "npx · -y · supergateway · --streamableHttp · http://localhost:8765/mcp",
    "npx · -y · supergateway · --streamableHttp=http://localhost:8765/mcp",
    "uvx · fastmcp · run · http://localhost:8765/mcp",
    "docker · run · -i · --rm · node:22 · npx · mcp-remote · http://host.docker.internal:8765/mcp",
    "docker · run · -i · --network · host · node:22 · npx · mcp-remote · http://localhost:8765/mcp",
]

OTHERS = [
    "python3 · demo.py",
    f"python3 · server.py · {NAME}",
    f"python3 · /src/{NAME}/examples/server.py",
    f"npx · -y · @modelcontextprotocol/server-filesystem · /home/me/{NAME}",
    f"uvx · mcp-server-git · --repository · /src/{NAME}",
    f"uvx · mcp-server-fetch · --user-agent · {NAME}",
    f"uvx · --with · {NAME} · mcp-server-time",
    f"uv · run · --directory · /src/{NAME} · other-server",
    f"uv · run · --with · {NAME} · python · server.py",
    f"uv · --directory · /src/{NAME} · run · server.py",
    f"docker · run · -i · -v · /src/{NAME}:/data · mcp/filesystem · /data",
    "docker · mcp · gateway · run",
    "docker · run · -i · docker/mcp-gateway",
    f"docker · exec · -i · box · other-server · {NAME}",
    "uvx · mcp-gateway",
    "pipx · run · mcp-gateway · --mcp-json-path · x.json",
    "mcp-gateway · --mcp-json-path · x.json",
    "python3 · -m · mcp_gateway · --mcp-json-path · x.json",
    "python3 · -m · mcp_gateway.server",
    "python3 · -m · mcp_gateway_ranker_bm25",
    "@/theirs/mcp-gateway",
    "@/theirs/other",
    f"{NAME} · check",
    f"{NAME} · --version",
    f"{NAME}-lite",
    f"uvx · {NAME}-lite",
    f"npx · -y · @us/{NAME}-docs",
    f"sh · -c · echo {NAME}",
    f"sh · -c · other-server --name {NAME} > {NAME}",
    f"sh · {NAME}.sh",
    f"env · NAME={NAME} · other-server",
    f"cmd · /c · other-server · {NAME}",
    f"grep · {NAME}",
    f"timeout · 5 · other-server · {NAME}",
    # A second gateway, with servers of its own.
    f"{NAME} · --config · other.json",
    f"env · SERVER_CONFIG_PATH=other.json · {NAME}",
    f"env · GATEWAY_ENV_FILE=other.env · {NAME}",
    f"sh · -c · SERVER_CONFIG_PATH=$SOMEWHERE/servers.json {NAME}",
    f"docker · run · -i · -v · @@/other.json:/etc/servers.json · -e · SERVER_CONFIG_PATH=/etc/servers.json · x/{NAME}",
    f"docker · run · -i · -e · SERVER_CONFIG_PATH=/built/in.json · x/{NAME}",
    f"ssh · elsewhere · {NAME}",
    # Bridges to somebody else, and programs that are no bridges.
    "npx · -y · mcp-remote · http://localhost:8766/mcp",
    "npx · -y · mcp-remote · https://localhost/mcp",
    "npx · -y · mcp-remote · https://elsewhere.example:8765/mcp",
    "npx · -y · mcp-remote · https://gateway.example/other/mcp",
    "npx · -y · server-monitor · http://localhost:8765/healthz",
    "docker · run · -i · --rm · node:22 · npx · mcp-remote · http://localhost:8765/mcp",
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_starts_this_gateway_is_known_on_every_way(own, place, line):
    command, *args = split(line, place)
    assert own.describe({"command": command, "args": args, "cwd": str(place)}).startswith("its ")


@pytest.mark.parametrize("line", OTHERS)
def test_a_command_that_starts_something_else_is_not_taken_for_this_gateway(own, place, line):
    command, *args = split(line, place)
    assert own.describe({"command": command, "args": args, "cwd": str(place)}) == ""


def test_both_tables_are_as_long_as_they_are_meant_to_be():
    assert len({*COMMANDS, *OTHERS}) >= 130


@pytest.mark.parametrize(
    "env, is_own",
    [
        ({}, True),
        ({"SERVER_CONFIG_PATH": "servers.json"}, True),
        ({"SERVER_CONFIG_PATH": "~/linked.json"}, True),
        ({"SERVER_CONFIG_PATH": "other.json"}, False),
        ({"GATEWAY_ENV_FILE": "own.env"}, True),
        ({"GATEWAY_ENV_FILE": "other.env"}, False),
        ({"GATEWAY_ENV_FILE": "missing.env"}, True),
        ({"PORT": 1}, True),
    ],
)
def test_a_gateway_with_a_file_of_its_own_is_another_one(own, place, env, is_own):
    keys = {"command": NAME, "args": [], "env": env, "cwd": str(place)}
    assert bool(own.describe(keys)) is is_own


def find_addresses():
    """Addresses of this machine that are not of the loopback interface, as far as there are some."""
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)}
    return sorted(f"[{address}]" if ":" in address else address for address in found)


URLS = [
    "http://127.0.0.1:8765/mcp",
    "http://localhost:8765/mcp",
    "http://LOCALHOST.:8765/mcp",
    "http://me.localhost:8765/mcp",
    "http://[::ffff:127.0.0.1]:8765/mcp",
    "http://127.1.2.3:8765/mcp",
    "http://0.0.0.0:8765/mcp",
    "http://127.1:8765/mcp",
    "http://2130706433:8765/mcp",
    "http://user:secret@localhost:8765/mcp?key=secret",
    "http://localhost:8765",
    "https://localhost:8765/mcp",
    f"http://{socket.gethostname()}:8765/mcp",
    *(f"http://{address}:8765/mcp" for address in find_addresses() if ":" not in address),
    "https://gateway.example/mcp",
    "https://GATEWAY.example.:443/mcp/",
]


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_leads_to_this_gateway_is_known_by_any_name_of_the_machine(own, url):
    found = own.describe({"url": url})
    assert found == ("its URL leads to this gateway itself, which would be behind itself without end")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8766/mcp",
        "http://localhost/mcp",
        "https://localhost/mcp",
        "http://192.0.2.1:8765/mcp",
        "http://[2001:db8::1]:8765/mcp",
        "http://255.255.255.255:8765/mcp",
        "http://224.0.0.1:8765/mcp",
        "http://missing.invalid:8765/mcp",
        "https://gateway.example/other",
        "https://gateway.example:8765/mcp",
        "http://localhost:99999/mcp",
        "http://[::1/mcp",
        "not a url",
    ],
)
def test_a_url_that_leads_elsewhere_is_not_taken_for_this_gateway(own, url):
    assert own.describe({"url": url}) == ""


@pytest.mark.parametrize(
    "host, url, is_own",
    [
        ("127.0.0.1", "http://localhost:8765/mcp", True),
        ("127.0.0.1", "http://127.0.0.2:8765/mcp", False),
        ("[::1]", "http://localhost:8765/mcp", True),
        ("[::1]", "http://127.0.0.1:8765/mcp", False),
        ("[::]", "http://127.0.0.1:8765/mcp", True),
        ("[::]", "http://[::1]:8765/mcp", True),
        ("0.0.0.0", "http://[::1]:8765/mcp", False),
        ("0.0.0.0", "http://[::]:8765/mcp", False),
    ],
)
def test_what_listens_at_one_address_is_not_reached_by_another(place, host, url, is_own):
    own = OwnEntries(place / "servers.json", (f"http://{host}:8765/mcp",))
    assert bool(own.describe({"url": url})) is is_own


def test_default_ports_count(place):
    own = OwnEntries(place / "servers.json", ("http://0.0.0.0:80/mcp",))
    assert own.describe({"url": "http://localhost/mcp"})
    assert not own.describe({"url": "https://localhost/mcp"})


def test_a_gateway_over_stdio_has_no_url(place):
    assert not OwnEntries(place / "servers.json").describe({"url": "http://localhost:8080/mcp"})


def test_a_name_that_does_not_resolve_in_time_delays_nothing(own, monkeypatch):
    import threading

    from mcp_gateway.loops import addresses

    never = threading.Event()
    monkeypatch.setattr(addresses, "RESOLVE_SECONDS", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait(60) and [])
    assert own.describe({"url": "http://slow.example:8765/mcp"}) == ""
    never.set()


def test_a_socket_is_not_where_this_gateway_listens(own):
    assert own.describe({"url": "http://localhost:8765/mcp", "socket": "/run/x.sock"}) == ""


@pytest.mark.parametrize("keys", [{}, {"command": 5}, {"command": ""}, {"command": "sh", "args": "x"}, {"url": 5}])
def test_what_cannot_be_read_is_nothing_of_this_gateway(own, keys):
    assert own.describe(keys) == ""


def test_words_without_end_are_followed_to_an_end(own):
    assert own.describe({"command": "env", "args": ["env"] * 10_000 + [NAME]}) == ""
    assert own.describe({"command": "sh", "args": ["-c", "sh -c " * 10_000]}) == ""
    assert own.describe({"command": "sh", "args": ["-c", "'\"\\`" * 1000]}) == ""
