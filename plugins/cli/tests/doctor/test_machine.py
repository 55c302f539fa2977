"""What `doctor` finds on the machine: files, disks, ports, processes."""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from mcp_gateway_cli.doctor.files import check_disks, check_folder
from mcp_gateway_cli.doctor.ports import check_address, find_listener
from mcp_gateway_cli.doctor.processes import find_config_option, is_gateway

SECRET = '{"servers": [{"name": "a", "command": "x", "enabled": false, "env": {"API_KEY": "geheim-12345678"}}]}'

posix = pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")


@pytest.fixture
def public_folder():
    """A folder that every user of this machine may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def find(run, *arguments):
    code, out, _ = run("doctor", "--json", *arguments)
    return code, {one["code"]: one for one in json.loads(out)["findings"]}


# -- secrets


@posix
def test_a_file_with_secrets_that_others_can_read_is_a_warning_that_fix_mends(run, installed, public_folder):
    file = public_folder / "servers.json"
    file.write_text(SECRET, encoding="utf-8")
    file.chmod(0o644)
    code, found = find(run, "--config", str(file))
    assert (code, found["secrets-readable"]["subject"]) == (10, str(file))
    assert found["secrets-readable"]["message"] == "it holds secrets, and everybody on this machine can read it"
    assert (found["secrets-readable"]["mend"], found["secrets-readable"]["fixable"]) == (f"chmod 600 {file}", True)
    assert "geheim" not in json.dumps(found)

    code, shown, _ = run("doctor", "--config", str(file), "--fix")
    first = f"fixed: {file}: it holds secrets, and everybody on this machine can read it [secrets-readable]"
    assert code == 0
    assert shown[shown.index(first) :].splitlines()[:2] == [first, f"  done: chmod 600 {file}"]
    file.chmod(0o644)
    code, found = find(run, "--config", str(file), "--fix")
    assert (code, found["secrets-readable"]["fixed"]) == (0, f"chmod 600 {file}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secrets-readable" not in find(run, "--config", str(file))[1]


@posix
@pytest.mark.parametrize("way", ["option", "variable", "nothing"])
def test_fix_leaves_the_files_of_programs_alone_if_another_is_named(run, installed, public_folder, monkeypatch, way):
    own, cursor = public_folder / "servers.json", public_folder / ".cursor" / "mcp.json"
    cursor.parent.mkdir(mode=0o755)
    for file in (own, cursor):
        file.write_text(SECRET, encoding="utf-8")
        file.chmod(0o644)
    monkeypatch.setenv("HOME", str(public_folder))
    if way == "variable":
        monkeypatch.setenv("SERVER_CONFIG_PATH", str(own))
    _, shown, _ = run("doctor", "--fix", *(("--config", str(own)) if way == "option" else ()))
    is_named = way != "nothing"
    modes = {file: stat.S_IMODE(file.stat().st_mode) for file in (own, cursor)}
    assert modes == ({own: 0o600, cursor: 0o644} if is_named else {own: 0o644, cursor: 0o600})
    mend = f"warning: {cursor}: it holds secrets, and everybody on this machine can read it [secrets-readable]"
    assert (mend in shown, f"  fix: chmod 600 {cursor}\n" in shown) == (is_named, is_named)


@posix
def test_the_env_file_beside_it_counts_too(run, installed, public_folder):
    (public_folder / "servers.json").write_text('{"servers": []}', encoding="utf-8")
    (public_folder / ".env").write_text("MY_TOKEN=geheim-12345678\n", encoding="utf-8")
    (public_folder / ".env").chmod(0o644)
    assert find(run, "--config", str(public_folder / "servers.json"))[1]["secrets-readable"]["subject"].endswith(".env")


@posix
def test_a_private_key_that_others_can_read_is_a_warning(run, installed, public_folder):
    entry = {"name": "a", "url": "https://x.example", "key": "key.pem", "enabled": False}
    (public_folder / "servers.json").write_text(json.dumps({"servers": [entry]}), encoding="utf-8")
    (public_folder / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n", encoding="utf-8")
    (public_folder / "key.pem").chmod(0o644)
    found = find(run, "--config", str(public_folder / "servers.json"))[1]
    assert found["secrets-readable"]["subject"] == str(public_folder / "key.pem")


@posix
@pytest.mark.parametrize(
    "case",
    [
        (SECRET, 0o600, 0o755),
        (SECRET, 0o644, 0o700),
        (SECRET.replace("geheim-12345678", "${API_KEY}"), 0o644, 0o755),
    ],
    ids=["only-mine", "in-a-folder-of-mine", "no-secret-in-it"],
)
def test_no_warning_where_nobody_else_can_read_a_secret(run, installed, public_folder, case):
    text, mode, folder_mode = case
    file = public_folder / "servers.json"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    public_folder.chmod(folder_mode)
    assert "secrets-readable" not in find(run, "--config", str(file))[1]


# -- folders and disks


def test_a_state_folder_that_cannot_be_made_is_an_error(run, servers, tmp_path, monkeypatch):
    servers({"name": "a", "command": "x", "enabled": False})
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("GATEWAY_STATE_DIR", str(tmp_path / "file" / "state"))
    code, found = find(run)
    assert (code, found["state-folder"]["subject"]) == (11, str(tmp_path / "file" / "state"))
    assert "is no folder" in found["state-folder"]["message"]
    monkeypatch.setenv("GATEWAY_STATE_DIR", str(tmp_path / "other"))
    code, found = find(run)
    assert (code, sorted(found)) == (0, ["folder-not-trusted", "server-off"])
    assert not (tmp_path / "other").exists()  # it looks, and makes nothing


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="rights do not bind root")
def test_a_state_folder_without_the_right_to_write_is_mended(run, servers, tmp_path, monkeypatch):
    servers({"name": "a", "command": "x", "enabled": False})
    (tmp_path / "mine").mkdir(mode=0o500)
    monkeypatch.setenv("GATEWAY_STATE_DIR", str(tmp_path / "mine"))
    assert find(run)[0] == 11
    assert find(run, "--fix")[0] == 0
    assert find(run)[0] == 0


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path):
    before = list(tmp_path.iterdir())
    assert list(check_folder(tmp_path)) == []
    assert list(tmp_path.iterdir()) == before


def test_a_full_disk_is_named_once(tmp_path):
    (found,) = check_disks([tmp_path, tmp_path / "not-there"], least=1 << 62)
    assert (found.code, found.subject) == ("disk-full", str(tmp_path))
    assert list(check_disks([tmp_path], least=0)) == []


# -- ports and processes


def test_a_port_that_is_taken_says_by_whom():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (found,) = check_address("127.0.0.1", port)
        assert (found.code, found.subject) == ("port-taken", f"127.0.0.1:{port}")
        if Path("/proc/net/tcp").exists():
            assert f"process {os.getpid()} (" in found.message
        assert "GATEWAY_PORT" in found.mend
    assert list(check_address("127.0.0.1", port)) == []
    assert find_listener(port) is None


def test_an_address_of_another_machine_is_an_error():
    (found,) = check_address("192.0.2.1", 8080)
    assert (found.code, "GATEWAY_HOST" in found.mend) == ("address-unusable", True)


@pytest.mark.parametrize(
    "command, expected",
    [
        ("/opt/bin/mcp-orchestration-gateway", True),
        ("/opt/bin/python /opt/bin/mcp-gateway serve --transport http", True),
        ("python -m mcp_gateway.main --config x.json", True),
        ("mcp-gateway --config check", True),
        ("mcp-gateway check --connect", False),
        ("python -m http.server", False),
        ("vim mcp-gateway/notes", False),
        ("", False),
    ],
)
def test_a_gateway_is_known_by_its_command_line(command, expected):
    assert is_gateway(command.split()) is expected


@pytest.mark.parametrize(
    "words, expected",
    [
        ("", ""),
        ("serve", ""),
        ("serve --config", ""),
        ("--config a.json serve", "a.json"),
        ("--config=b.json", "b.json"),
    ],
)
def test_the_file_of_a_gateway_is_in_its_command_line(words, expected):
    assert find_config_option(words.split()) == expected
