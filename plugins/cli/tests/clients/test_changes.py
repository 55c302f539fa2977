"""Changes of files: comments and order stay, and the gateway stands where each program looks for it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from mcp_gateway_cli.clients.changes import add_servers, connect_program, disconnect_program
from mcp_gateway_cli.clients.entry_forms import Launch
from mcp_gateway_cli.clients.machine import Machine
from mcp_gateway_cli.clients.programs import PROGRAMS, find_program
from mcp_gateway_cli.clients.survey import FoundFile, inspect_file

from mcp_gateway.control.client_files import read_client_file

LAUNCH = Launch("/opt/bin/mcp-gateway", (), {"SERVER_CONFIG_PATH": "/home/me/servers.json"})


def parse(path: Path, content: bytes):
    if path.suffix == ".toml":
        return tomllib.loads(content.decode())
    return yaml.safe_load(content) if path.suffix == ".yaml" else json.loads(content)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_new_file_of_each_program_starts_the_gateway_and_is_read_so(tmp_path, program):
    path = program.find_files(Machine("linux", tmp_path))[0]
    change = connect_program(FoundFile(program, path), LAUNCH)
    assert change.before is None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(change.after)
    (raw,) = read_client_file(path).entries
    assert raw.title == "gateway"
    assert not raw.unclear
    assert {key: raw.keys[key] for key in ("transport", "command", "args", "env")} == {
        "transport": "stdio",
        "command": "/opt/bin/mcp-gateway",
        "args": [],
        "env": {"SERVER_CONFIG_PATH": "/home/me/servers.json"},
    }
    found = inspect_file(program, path)
    assert (found.gateways, found.servers) == (((program.place, "gateway"),), ())
    assert connect_program(found, LAUNCH).is_empty


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_what_goes_in_comes_out_again(tmp_path, program):
    path = program.find_files(Machine("linux", tmp_path))[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(connect_program(FoundFile(program, path), LAUNCH).after)
    found = inspect_file(program, path)
    path.write_bytes(disconnect_program(found).after)
    assert inspect_file(program, path).gateways == ()


def test_comments_and_order_stay_and_servers_go_out(tmp_path):
    path = tmp_path / "mcp.json"
    path.write_text(
        '// mine\n{\n  "theme": 1, // dark\n  "mcpServers": {\n    "a": {"command": "a"},\n'
        '    // the other\n    "b": {"command": "b"}\n  },\n  "z": [1,2]\n}\n'
    )
    change = connect_program(inspect_file(find_program("cursor"), path), Launch("/g"), [(("mcpServers",), "a")])
    assert change.after.decode() == (
        '// mine\n{\n  "theme": 1, // dark\n  "mcpServers": {\n'
        '    // the other\n    "b": {"command": "b"},\n    "gateway": {"command": "/g", "args": []}\n  },\n'
        '  "z": [1,2]\n}\n'
    )
    assert change.lines == ("- mcpServers: a", "+ mcpServers: gateway: /g")


ENV = '[mcp_servers.a.env]\nA = "b"\n'
SERVER = '[mcp_servers.a]\ncommand = "a"\n'
GATEWAY = '[mcp_servers.gateway]\ncommand = "/g"\nargs = []\n'
HEAD, TAIL = 'model = "x"\n', "[tui]\nx = 1\n"
LAYOUTS = {
    "alone": (SERVER, GATEWAY),
    "below": (f"{HEAD}\n{SERVER}", f"{HEAD}\n{GATEWAY}"),
    "with a table inside": (f"{HEAD}\n{SERVER}{ENV}", f"{HEAD}\n{GATEWAY}"),
    "with a table inside, apart": (f"{HEAD}\n{SERVER}\n{ENV}", f"{HEAD}\n{GATEWAY}"),
    "before another": (f"{HEAD}\n{SERVER}\n{TAIL}", f"{HEAD}\n{GATEWAY}\n{TAIL}"),
    "with a table inside, before another": (f"{HEAD}\n{SERVER}{ENV}\n{TAIL}", f"{HEAD}\n{GATEWAY}\n{TAIL}"),
    "close before another": (f"{HEAD}\n{SERVER}{TAIL}", f"{HEAD}\n{GATEWAY}{TAIL}"),
    "close": (f"{HEAD}{SERVER}{TAIL}", f"{HEAD}{GATEWAY}{TAIL}"),
    "with a remark": (f"# mine\n{HEAD}\n# time\n{SERVER}{ENV}", f"# mine\n{HEAD}\n# time\n\n{GATEWAY}"),
    "with a parent": (f"{HEAD}\n[mcp_servers]\n\n{SERVER}{ENV}", f"{HEAD}\n[mcp_servers]\n\n{GATEWAY}"),
    "between others": (f"[b]\nc = 1\n\n{SERVER}{ENV}\n{TAIL}", f"[b]\nc = 1\n\n{GATEWAY}\n{TAIL}"),
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_blank_lines_stay_where_a_table_is_replaced(tmp_path, layout, newline):
    before, after = LAYOUTS[layout]
    path = tmp_path / "config.toml"
    path.write_bytes(before.replace("\n", newline).encode())
    change = connect_program(inspect_file(find_program("codex"), path), Launch("/g"), [(("mcp_servers",), "a")])
    assert change.after.decode() == after.replace("\n", newline)


def test_a_server_that_is_called_gateway_keeps_its_name(tmp_path):
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"gateway": {"command": "api-gateway"}}}')
    change = connect_program(inspect_file(find_program("cursor"), path), LAUNCH)
    assert list(json.loads(change.after)["mcpServers"]) == ["gateway", "mcp-gateway"]


def test_an_entry_of_the_gateway_is_brought_up_to_date(tmp_path):
    path = tmp_path / "mcp.json"
    old = {"command": "/gone/mcp-orchestration-gateway", "env": {"GATEWAY_RANKER": "regex"}, "alwaysAllow": ["x"]}
    path.write_text(json.dumps({"mcpServers": {"tools": old}}))
    change = connect_program(inspect_file(find_program("cursor"), path), LAUNCH)
    assert json.loads(change.after)["mcpServers"] == {
        "tools": {
            "command": "/opt/bin/mcp-gateway",
            "env": {"GATEWAY_RANKER": "regex", "SERVER_CONFIG_PATH": "/home/me/servers.json"},
            "alwaysAllow": ["x"],
            "args": [],
        }
    }


def test_servers_are_added_to_a_list_and_to_an_object_and_to_no_file(tmp_path):
    entry = {"name": "x", "command": "x", "env": {"TOKEN": "hidden"}}
    for text, expected in (
        (None, {"version": "1.0", "servers": [entry]}),
        ('{"servers": [{"name": "a"}]}', {"servers": [{"name": "a"}, entry]}),
        (
            '{"mcpServers": {"a": {"command": "a"}}}',
            {"mcpServers": {"a": {"command": "a"}, "x": {"command": "x", "env": {"TOKEN": "hidden"}}}},
        ),
        ("{}", {"servers": [entry]}),
    ):
        path = tmp_path / "server_config.json"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        change = add_servers(path, [entry])
        assert parse(path, change.after) == expected
        assert "hidden" not in "".join(change.lines) + repr(change)
