"""The plan of an import: each server once, under a name of its own, and nothing lost without a word."""

from __future__ import annotations

import json

import pytest
from mcp_gateway_cli.clients.imports import plan_import, read_existing
from mcp_gateway_cli.clients.machine import Machine
from mcp_gateway_cli.clients.programs import find_program
from mcp_gateway_cli.clients.survey import find_idle_programs, inspect_file, is_gateway, survey_machine


@pytest.fixture
def write(tmp_path):
    """Write a program's file in a home folder; return what was found in it."""

    def write_file(name: str, document) -> object:
        program = find_program(name)
        path = program.find_files(Machine("linux", tmp_path))[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return inspect_file(program, path)

    return write_file


def test_the_same_server_of_two_programs_comes_once(write):
    same = {"command": "x", "args": ["y"], "env": {"A": "b"}}
    files = [
        write("cursor", {"mcpServers": {"one": same}}),
        write("vscode", {"servers": {"uno": {"type": "stdio", **same, "timeout": 5000}}}),
    ]
    (server,) = plan_import(files).servers
    assert server.name == "one"
    assert [(origin.program, origin.title) for origin in server.origins] == [("Cursor", "one"), ("VS Code", "uno")]


def test_different_servers_of_one_name_are_told_apart_by_their_programs(write):
    files = [
        write("cursor", {"mcpServers": {"git-hub": {"command": "a"}}}),
        write("vscode", {"servers": {"git_hub": {"command": "b"}}}),
        write("windsurf", {"mcpServers": {"git-hub": {"command": "b", "env": {"TOKEN": "other"}}}}),
    ]
    assert [server.name for server in plan_import(files).servers] == ["git-hub", "git_hub-vscode", "git-hub-windsurf"]


def test_what_the_gateway_has_already_is_not_added_again(write, tmp_path):
    own = tmp_path / "server_config.json"
    own.write_text(json.dumps({"servers": [{"name": "mine", "command": "x"}, {"name": "b", "command": "other"}]}))
    files = [write("cursor", {"mcpServers": {"a": {"command": "x"}, "b": {"command": "y"}}})]
    plan = plan_import(files, read_existing(own))
    assert [(server.name, server.is_new) for server in plan.servers] == [("mine", False), ("b-cursor", True)]


def test_what_only_a_program_reads_is_noted_once_an_entry(write):
    alike = {"command": "x"}
    files = [
        write("cursor", {"mcpServers": {"one": {**alike, "autoApprove": ["a"], "icon": "i"}}}),
        write("vscode", {"servers": {"one": {**alike, "dev": {"watch": "*"}}}}),
        write("zed", {"context_servers": {"one": {"source": "custom", **alike}}}),
        write("cline", {"mcpServers": {"one": {**alike, "autoApprove": []}, "two": {"command": "y"}}}),
    ]
    assert [(server.name, server.warnings) for server in plan_import(files).servers] == [
        (
            "one",
            ("only Cursor reads autoApprove, icon: not taken over", "only VS Code reads dev: not taken over"),
        ),
        ("two", ()),
    ]


def test_what_is_left_out_has_a_reason(write):
    file = write(
        "cursor",
        {
            "mcpServers": {
                "off": {"command": "x", "disabled": True},
                "neither": {"args": []},
                "two": {"command": "x", "url": "http://x"},
                "fine": {"command": "x", "strange": 1},
            }
        },
    )
    plan = plan_import([file])
    assert [server.name for server in plan.servers] == ["fine"]
    assert [(item.origin.title, item.is_off) for item in plan.left_out] == [
        ("off", True),
        ("neither", False),
        ("two", False),
    ]
    assert all(item.reason for item in plan.left_out)


@pytest.mark.parametrize(
    "keys",
    [
        {"command": "mcp-gateway"},
        {"command": "/home/me/.local/bin/mcp-orchestration-gateway", "args": []},
        {"command": "uvx", "args": ["--from", "/src/gateway", "mcp-orchestration-gateway"]},
        {"command": "python", "args": ["-m", "mcp_gateway.main"]},
    ],
)
def test_the_gateways_own_entry_is_no_server_to_import(write, keys):
    assert is_gateway(keys)
    file = write("cursor", {"mcpServers": {"all": keys, "x": {"command": "x"}}})
    assert file.gateways == ((("mcpServers",), "all"),)
    assert [server.title for server in file.servers] == ["x"]


@pytest.mark.parametrize(
    "keys", [{"command": "mcp-gateway-lite"}, {"command": "docker", "args": ["mcp", "gateway"]}, {}]
)
def test_other_gateways_are_servers(keys):
    assert not is_gateway(keys)


def test_a_machine_is_surveyed_with_its_broken_files(write, tmp_path):
    write("cursor", {"mcpServers": {"a": {"command": "a"}}})
    write("zed", '{"context_servers": {')
    (tmp_path / ".gemini").mkdir()
    machine = Machine("linux", tmp_path)
    found = survey_machine(machine)
    assert {file.program.name: bool(file.problem) for file in found} == {"cursor": False, "zed": True}
    assert [program.name for program in find_idle_programs(machine, found)] == ["gemini"]


def test_a_file_under_two_names_is_found_once(write, tmp_path):
    file = write("claude-desktop", {"mcpServers": {"a": {"command": "a"}}})
    (tmp_path / ".config" / "claude").symlink_to(file.path.parent)
    assert [found.path for found in survey_machine(Machine("linux", tmp_path))] == [file.path]
