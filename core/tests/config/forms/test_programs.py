"""Files of other programs, as their documentation shows them: what they come to here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mcp_gateway.config.forms.entry_file import read_entry_file
from mcp_gateway.config.forms.programs import PROGRAMS
from mcp_gateway.plugin import ConfigError

TOOLS = ("read", "write", "write_all")


@pytest.fixture
def entries(tmp_path):
    """Write a file of a program; return its entries by name."""

    def read(name, written):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written if isinstance(written, str) else json.dumps(written), encoding="utf-8")
        found = read_entry_file(path).entries
        return {entry.keys["name"]: entry for entry in found}

    return read


def permitted(entry):
    return [tool for tool in TOOLS if entry.policy.permits(tool)]


def test_claude_desktop(entries):
    found = entries(
        "claude_desktop_config.json",
        {"mcpServers": {"a": {"command": "npx", "args": ["-y", "x"], "env": {"K": "v"}}}, "globalShortcut": ""},
    )
    assert found["a"].keys == {
        "name": "a",
        "command": "npx",
        "args": ["-y", "x"],
        "env": {"K": "v"},
        "transport": "stdio",
    }
    assert found["a"].warnings == ()


def test_claude_code_uses_the_servers_of_the_project_that_it_is_in(entries, tmp_path, monkeypatch):
    (tmp_path / "proj" / "deep").mkdir(parents=True)
    written = {
        "numStartups": 12,
        "mcpServers": {"all": {"type": "http", "url": "https://x", "timeout": 30_000}},
        "projects": {
            str(tmp_path / "proj"): {
                "mcpServers": {"mine": {"type": "stdio", "command": "x", "args": [], "env": {}}},
                "disabledMcpServers": ["all", "off"],
            },
            "/elsewhere": {"mcpServers": {"other": {"command": "y"}}},
        },
    }
    assert set(entries(".claude.json", written)) == {"all"}
    monkeypatch.chdir(tmp_path / "proj" / "deep")
    found = entries(".claude.json", written)
    assert set(found) == {"all", "mine"}
    assert (found["all"].keys["enabled"], found["all"].unclear) == (False, "disabledMcpServers names it")
    assert found["all"].keys["call_timeout"] == 30
    read = read_entry_file(tmp_path / ".claude.json")
    assert read.warnings[0].endswith("used only in the folder of the project: other (project /elsewhere)")


def test_claude_code_without_servers_for_this_folder_says_where_they_are(entries):
    with pytest.raises(ConfigError, match=r"no servers for this folder: .* mine \(project /home/me/proj\)"):
        entries("x.json", {"projects": {"/home/me/proj": {"mcpServers": {"mine": {"command": "x"}}}}})


@pytest.mark.parametrize(
    "denied, left",
    [
        (["mcp__a__write", "Bash(rm:*)", "mcp__b__read"], ["read", "write_all"]),
        (["mcp__a"], []),
        (["mcp__a__*"], []),
        (["mcp__*"], []),
        (["mcp__a__write*"], ["read"]),
        (["mcp__a__write(x:*)"], ["read", "write_all"]),
    ],
)
def test_claude_code_denies_tools(entries, denied, left):
    found = entries(".mcp.json", {"mcpServers": {"a": {"command": "x"}}, "permissions": {"deny": denied}})
    assert permitted(found["a"]) == left


def test_claude_code_denies_tools_in_its_settings_beside_the_file_and_of_the_user(entries, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder, name, tool in (
        (tmp_path, "settings.local.json", "write"),
        (tmp_path / "home", "settings.json", "read"),
    ):
        (folder / ".claude").mkdir(parents=True)
        text = f'{{"permissions": {{"deny": ["mcp__a__{tool}", "Bash", 5]}}, // mine\n}}'
        (folder / ".claude" / name).write_text(text, encoding="utf-8")
    assert permitted(entries(".mcp.json", {"mcpServers": {"a": {"command": "x"}}})["a"]) == ["write_all"]
    assert permitted(entries("other.json", {"mcpServers": {"a": {"command": "x"}}})["a"]) == [*TOOLS]
    (tmp_path / ".claude" / "settings.local.json").write_text("{", encoding="utf-8")
    assert permitted(entries(".mcp.json", {"mcpServers": {"a": {"command": "x"}}})["a"]) == ["write", "write_all"]
    [warning] = read_entry_file(tmp_path / ".mcp.json").warnings
    assert warning.endswith("settings.local.json cannot be read; what it denies is not known here")


def test_claude_code_leaves_out_servers_that_it_lists(entries):
    written = {"mcpServers": {"a": {"command": "x"}, "b": {"command": "y"}}, "disabledMcpjsonServers": ["a"]}
    found = entries(".mcp.json", written)
    assert [found[name].keys.get("enabled") for name in "ab"] == [False, None]
    assert found["a"].unclear == "disabledMcpjsonServers names it"


@pytest.mark.parametrize(
    "rule", [{"serverName": "a"}, {"serverCommand": ["npx", "x"]}, {"serverUrl": "https://*.example.com/*"}, "a"]
)
def test_claude_code_denies_and_allows_servers_by_name_command_or_url(entries, rule):
    held = {"command": "npx", "args": ["x"], "url": "https://mcp.example.com/mcp", "type": "stdio"}
    for key, off in (("deniedMcpServers", "a"), ("allowedMcpServers", "b")):
        found = entries(".mcp.json", {"mcpServers": {"a": held, "b": {"command": "y"}}, key: [rule]})
        assert [name for name in "ab" if found[name].keys.get("enabled") is False] == [off]


def test_cursor(entries):
    keys = {"command": "x", "envFile": "${workspaceFolder}/.env"}
    login = {"url": "https://x", "auth": {"CLIENT_ID": "me", "CLIENT_SECRET": "s", "scopes": ["a"]}}
    found = entries(".cursor/mcp.json", {"mcpServers": {"a": keys, "b": login}})
    assert found["a"].keys == {"name": "a", **keys, "transport": "stdio"}
    assert {**found["b"].keys} == {
        "name": "b",
        "url": "https://x",
        "auth_type": "oauth",
        "client_id": "me",
        "client_secret": "s",
        "scopes": ["a"],
        "transport": "http",
    }


@pytest.mark.parametrize(
    "place", [lambda held: held, lambda held: {"mcp": held}, lambda held: {"mcp.servers": held["servers"]}]
)
def test_vs_code(entries, place):
    servers = {
        "a": {
            "type": "stdio",
            "command": "x",
            "args": ["${workspaceFolder}"],
            "envFile": "x.env",
            "dev": {"watch": "y"},
        },
        "b": {"type": "http", "url": "https://x", "headers": {"Authorization": "Bearer ${input:key}"}},
        "c": {"type": "stdio", "command": "x", "sandboxEnabled": True},
    }
    found = entries(".vscode/settings.json", place({"servers": servers, "inputs": []}))
    assert found["a"].keys["envFile"] == "x.env"
    assert found["a"].warnings == ()
    assert found["b"].keys["auth_headers"] == {"Authorization": "Bearer ${input:key}"}
    assert found["c"].warnings == ("the gateway starts it without the sandbox that is set for it",)


def test_vs_code_may_switch_all_servers_off(entries):
    found = entries("settings.json", {"chat.mcp.access": "none", "mcp": {"servers": {"a": {"command": "x"}}}})
    assert (found["a"].keys["enabled"], found["a"].unclear) == (False, "chat.mcp.access switches all servers off")


def test_windsurf(entries):
    keys = {"serverUrl": "https://x/mcp", "headers": {"A": "b"}, "disabledTools": ["write"], "disabled": False}
    found = entries("mcp_config.json", {"mcpServers": {"a": keys}})["a"]
    assert (found.keys["url"], found.keys["enabled"], permitted(found)) == (
        "https://x/mcp",
        True,
        ["read", "write_all"],
    )


CODEX = """
model = "gpt-5"
[mcp_servers.a]
command = "npx"
args = ["-y", "x"]
env = { "KEY" = "v" }
env_vars = ["TOKEN"]
startup_timeout_sec = 20
tool_timeout_sec = 90.5
enabled_tools = ["read", "write*"]
disabled_tools = ["write"]
[mcp_servers.b]
url = "https://x"
bearer_token_env_var = "FIGMA"
http_headers = { "X-Region" = "us" }
env_http_headers = { "X-Key" = "KEY" }
startup_timeout_ms = 2500
enabled = false
[mcp_servers.c]
command = "y"
enabled_tools = []
"""


@pytest.mark.parametrize("name", ["config.toml", "codex", "servers.json"])
def test_codex(entries, name):
    found = entries(name, CODEX)
    assert found["a"].keys == {
        "name": "a",
        "command": "npx",
        "args": ["-y", "x"],
        "env": {"KEY": "v"},
        "env_vars": ["TOKEN"],
        "start_timeout": 20,
        "call_timeout": 90.5,
        "transport": "stdio",
    }
    assert permitted(found["a"]) == ["read"]
    assert found["b"].keys["auth_headers"] == {"X-Region": "us", "Authorization": "Bearer ${FIGMA}"}
    assert (found["b"].keys["enabled"], found["b"].keys["start_timeout"]) == (False, 2.5)
    assert permitted(found["c"]) == []


def test_gemini(entries):
    keys = {
        "httpUrl": "https://x",
        "timeout": 3000,
        "trust": True,
        "headers": {"A": "$TOKEN"},
        "includeTools": ["read(*.txt)", "write*", "write"],
        "excludeTools": ["write"],
    }
    written = {
        "mcp": {"allowed": ["a", "b"], "excluded": ["b"]},
        "mcpServers": {"a": keys, "b": {"command": "x"}, "c": {"command": "x"}},
    }
    found = entries(".gemini/settings.json", written)
    assert found["a"].keys["timeout"] == 3
    assert found["a"].keys["auth_headers"] == {"A": "${TOKEN:-$TOKEN}"}
    assert permitted(found["a"]) == ["read"]
    assert [found[name].unclear for name in "bc"] == ["mcp.excluded names it", "mcp.allowed does not name it"]


@pytest.mark.parametrize("name", ["write", "a__write", "mcp_a_write"])
def test_gemini_excludes_tools_of_all_servers(entries, name):
    written = {"mcpServers": {"a": {"command": "x", "trust": False}}, "tools": {"exclude": [name, "b__read"]}}
    found = entries("settings.json", written)["a"]
    assert permitted(found) == ["read", "write_all"]
    assert found.policy.find_idle(["read"]) in ([], [name])


ZED = """{
  // Zed settings
  "theme": "One Dark",
  "context_servers": {
    "a": {"source": "custom", "command": "x", "args": ["y"], "env": {}},
    "b": {"command": {"path": "x", "args": ["y"], "env": {"K": "v"}}, "settings": {}},
    "c": {"url": "https://x", "headers": {"Authorization": "Bearer x"}},
  },
  "agent": {
    "default_profile": "mine",
    "profiles": {"mine": {"enable_all_context_servers": false, "context_servers": {"a": {"tools": {"read": true}}}}},
    "tool_permissions": {"tools": {"mcp:b:write": {"default": "deny"}}},
  },
}"""


def test_zed(entries):
    found = entries("settings.json", ZED)
    assert found["a"].keys == {"name": "a", "command": "x", "args": ["y"], "env": {}, "transport": "stdio"}
    assert found["b"].keys == {"name": "b", "command": "x", "args": ["y"], "env": {"K": "v"}, "transport": "stdio"}
    assert found["c"].keys["auth_headers"] == {"Authorization": "Bearer x"}
    assert (permitted(found["a"]), permitted(found["b"])) == (["read"], [])


EXTENSION = "it is an extension of that program, which only that program can start"
NOTHING = """it needs "command", the program to start (stdio), or "url", where it is (HTTP)"""


@pytest.mark.parametrize(
    "entry, said",
    [
        ({"source": "extension", "settings": {}}, EXTENSION),
        ({"source": "extension", "enabled": True, "settings": {"token": "x"}}, EXTENSION),
        ({"source": "extension"}, EXTENSION),
        ({"settings": {}}, EXTENSION),
        ({"source": "extension", "enabled": False, "settings": {}}, ""),
        ({"source": "extension", "command": "x"}, ""),
        ({"settings": {}, "url": "https://x"}, ""),
        ({"source": "custom"}, NOTHING),
        ({}, NOTHING),
    ],
)
def test_an_extension_of_zed_is_none_of_the_broken_entries(entries, entry, said):
    assert entries("settings.json", {"context_servers": {"a": entry}})["a"].unclear == said


def test_settings_and_a_source_mean_nothing_in_other_programs(entries):
    written = {"mcpServers": {"a": {"source": "extension", "settings": {}}}}
    assert entries(".cursor/mcp.json", written)["a"].unclear == NOTHING


GOOSE = """
extensions:
  a:
    name: a
    type: stdio
    cmd: npx
    args: [-y, x]
    enabled: true
    envs: {PORT: 8080, DEBUG: true}
    env_keys: [TOKEN]
    timeout: 300
    available_tools: [read]
  b: {type: streamable_http, uri: "https://x", name: b, available_tools: []}
  c: {type: builtin, name: developer, enabled: true}
  d: {enabled: false, config: {type: stdio, name: d, cmd: x}}
"""


def test_goose(entries):
    pytest.importorskip("yaml")
    found = entries("config.yaml", GOOSE)
    assert found["a"].keys == {
        "name": "a",
        "command": "npx",
        "args": ["-y", "x"],
        "env": {"PORT": "8080", "DEBUG": "true", "TOKEN": "${TOKEN}"},
        "timeout": 300,
        "enabled": True,
        "transport": "stdio",
    }
    assert (permitted(found["a"]), permitted(found["b"])) == (["read"], [*TOOLS])
    assert (found["b"].keys["transport"], found["b"].keys["url"]) == ("http", "https://x")
    assert found["c"].unclear == "it is a part of that program, which only that program can start"
    assert (found["d"].keys["enabled"], found["d"].keys["command"]) == (False, "x")


def test_opencode(entries):
    written = {
        "$schema": "https://opencode.ai/config.json",
        "mcp": {
            "a": {
                "type": "local",
                "command": ["npx", "-y", "x"],
                "enabled": True,
                "environment": {"K": "{env:V}"},
                "timeout": 5000,
            },
            "b": {
                "type": "remote",
                "url": "https://x",
                "headers": {"Authorization": "Bearer {file:~/t}"},
                "oauth": False,
            },
            "c": {"enabled": False},
        },
        "tools": {"a_*": False, "a_read": True, "b*": False, "bash": False},
    }
    found = entries("opencode.jsonc", written)
    assert found["a"].keys == {
        "name": "a",
        "command": "npx",
        "args": ["-y", "x"],
        "env": {"K": "${env:V}"},
        "enabled": True,
        "list_timeout": 5,
        "transport": "stdio",
    }
    assert found["b"].keys["auth_headers"] == {"Authorization": "Bearer ${file:~/t}"}
    assert [permitted(found[name]) for name in "abc"] == [["read"], [], [*TOOLS]]
    assert found["c"].unclear == ""


def test_opencode_2(entries):
    server = {"type": "local", "command": ["x"], "disabled": True, "timeout": {"startup": 9000, "request": 4000}}
    found = entries(
        "opencode.json", {"mcp": {"servers": {"a": server}}, "permission": {"a_write": "deny", "edit": "ask"}}
    )
    assert (found["a"].keys["enabled"], found["a"].keys["start_timeout"], found["a"].keys["timeout"]) == (False, 9, 4)
    assert permitted(found["a"]) == ["read", "write_all"]


def test_crush(entries):
    server = {"type": "stdio", "command": "x", "timeout": 120, "disabled_tools": ["write"]}
    found = entries("crush.json", {"mcp": {"a": server}})
    assert (found["a"].keys["timeout"], permitted(found["a"])) == (120, ["read", "write_all"])


CLINE = {"command": "x", "alwaysAllow": ["read"], "autoApprove": ["read"], "disabled": True, "timeout": 3600}


@pytest.mark.parametrize("name", ["cline_mcp_settings.json", "mcp_settings.json", "servers.json", ".roo/mcp.json"])
def test_cline_and_roo_code_count_in_seconds(entries, name):
    found = entries(name, {"mcpServers": {"a": {**CLINE, "disabledTools": ["write"]}}})["a"]
    limit = found.keys.get("call_timeout", found.keys.get("timeout"))
    assert (limit, found.keys["enabled"], permitted(found)) == (3600, False, ["read", "write_all"])
    assert found.warnings == ()


@pytest.mark.parametrize(
    "tools, left", [(["*"], [*TOOLS]), (["read"], ["read"]), ([], []), ("*", [*TOOLS]), (["write*"], [])]
)
def test_copilot_permits_the_tools_that_it_lists(entries, tools, left):
    found = entries("mcp-config.json", {"mcpServers": {"a": {"type": "local", "command": "x", "tools": tools}}})["a"]
    assert permitted(found) == left


@pytest.mark.parametrize(
    "tools, left",
    [(["*"], [*TOOLS]), (["@a"], [*TOOLS]), (["@a/write*", "fs"], ["write", "write_all"]), (["@ab", "@b/read"], [])],
)
def test_agents_of_kiro_and_amazon_q_have_only_the_tools_that_they_list(entries, tools, left):
    written = {"mcpServers": {"a": {"command": "x"}}, "tools": tools, "allowedTools": ["@a/read"]}
    assert permitted(entries(".kiro/agents/mine.json", written)["a"]) == left


def test_amp(entries):
    found = entries("settings.json", {"amp.mcpServers": {"a": {"command": "x", "includeTools": ["write*"]}}})["a"]
    assert permitted(found) == ["write", "write_all"]


def test_continue(entries):
    pytest.importorskip("yaml")
    text = "mcpServers:\n  - name: a\n    command: npx\n    args: [-y, x]\n    env: {K: '${{ secrets.KEY }}'}\n"
    assert entries(".continue/config.yaml", text)["a"].keys == {
        "name": "a",
        "command": "npx",
        "args": ["-y", "x"],
        "env": {"K": "${KEY}"},
        "transport": "stdio",
    }
    held = {"experimental": {"modelContextProtocolServers": [{"transport": {"type": "stdio", "command": "x"}}]}}
    assert entries("config.json", held)["config-0"].keys["command"] == "x"


def test_librechat(entries):
    pytest.importorskip("yaml")
    text = "mcpServers:\n  a: {type: streamable-http, url: 'https://x', timeout: 2000, initTimeout: 500}\n"
    found = entries("librechat.yaml", text)["a"].keys
    assert (found["transport"], found["timeout"], found["start_timeout"]) == ("http", 2, 0.5)


@pytest.mark.parametrize("name", [".lmstudio/mcp.json", ".kiro/settings/mcp.json"])
def test_lm_studio_and_kiro_count_in_milliseconds(entries, name):
    found = entries(name, {"mcpServers": {"a": {"command": "x", "timeout": 3000, "disabledTools": ["write"]}}})["a"]
    assert (found.keys["call_timeout"], permitted(found)) == (3, ["read", "write_all"])


@pytest.mark.parametrize("place", [{"augment.advanced": {"mcpServers": 0}}, {"roo.mcpServers": 0}])
def test_servers_below_the_settings_of_an_extension(entries, place):
    text = json.dumps(place).replace("0", '{"a": {"command": "x", "disabledTools": ["write"]}}')
    assert permitted(entries("settings.json", text)["a"]) == ["read", "write_all"]


def test_a_unix_socket_of_vs_code(entries):
    servers = {"a": {"type": "http", "url": "unix:///tmp/a.sock#/mcp"}, "b": {"type": "http", "url": "unix:///tmp/b"}}
    found = entries(".vscode/mcp.json", {"servers": servers})
    assert (found["a"].keys["socket"], found["a"].keys["url"]) == ("/tmp/a.sock", "http://localhost/mcp")
    assert (found["b"].keys["socket"], found["b"].keys["url"]) == ("/tmp/b", "http://localhost/")


def test_a_bare_map_and_a_single_server(entries):
    found = entries("x.json", {"a": {"command": "x"}, "b": {"url": "https://x"}, "//": "mine"})
    assert {name: entry.keys["transport"] for name, entry in found.items()} == {"a": "stdio", "b": "http"}
    assert set(entries("playwright.json", {"command": "npx", "args": ["x"]})) == {"playwright"}
    assert set(entries("x.json", [{"name": "a", "command": "x"}])) == {"a"}


@pytest.mark.parametrize(
    "written, looks",
    [
        ({"services": {}}, "a Docker Compose file"),
        ({"name": "x", "scripts": {}}, "a package.json"),
        ({"manifest_version": "0.2", "server": {}}, "the manifest of an MCP bundle"),
        ({"$schema": "x", "name": "io.x/y", "packages": []}, "an entry of the MCP registry"),
        ({"jsonrpc": "2.0", "id": 1}, "a message of JSON-RPC"),
        ({"registry": {}}, "a catalog of Docker's MCP toolkit"),
        ({"openapi": "3.1.0"}, "an OpenAPI description"),
    ],
)
def test_another_form_is_named_for_what_it_looks_like(entries, written, looks):
    with pytest.raises(ConfigError, match=f"it has no servers: .*; it looks like {looks}"):
        entries("x.json", written)


@pytest.mark.parametrize("key", ["disabledTools", "disabled_tools", "excludeTools", "exclude_tools", "blockedTools"])
@pytest.mark.parametrize("value", [["write"], "write", {"write": True, "read": False}, ["write(rm *)"]])
def test_what_any_program_forbids_is_forbidden_in_every_form(entries, key, value):
    for held in ({"mcpServers": {"a": {"command": "x", key: value}}}, {"servers": {"a": {"command": "x", key: value}}}):
        assert permitted(entries("x.json", held)["a"]) == ["read", "write_all"]


@pytest.mark.parametrize("key", ["enabledTools", "enabled_tools", "includeTools", "allowedTools"])
def test_what_any_program_permits_is_all_that_is_permitted(entries, key):
    found = entries("x.json", {"mcpServers": {"a": {"command": "x", key: ["read"]}}})["a"]
    assert permitted(found) == ["read"]


@pytest.mark.parametrize(
    "tools, left",
    [
        ({"write": False, "read": True}, ["read", "write_all"]),
        ({"write": {"enabled": False}}, ["read", "write_all"]),
        ({"write": "deny", "read": "allow"}, ["read", "write_all"]),
        ([{"name": "read"}], ["read"]),
        ([{"name": "read"}, {"name": "write", "enabled": False}], ["read", "write_all"]),
        ("read, write", ["read", "write"]),
        (False, []),
    ],
)
def test_tools_of_a_server_may_have_many_forms(entries, tools, left):
    assert permitted(entries("x.json", {"mcpServers": {"a": {"command": "x", "tools": tools}}})["a"]) == left


@pytest.mark.parametrize(
    "key, value",
    [
        *[(key, value) for key in ("disabledTools", "enabledTools", "tools") for value in (5, [5], [[]])],
        ("tools", {"exlude": ["write"]}),
    ],
)
def test_a_list_of_tools_that_cannot_be_read_disables_its_server(entries, key, value):
    found = entries("x.json", {"mcpServers": {"a": {"command": "x", key: value}}})["a"]
    assert found.unclear.startswith(f"{key}: ")


@pytest.mark.parametrize("key, ours", [("disabledTools", "exclude"), ("includeTools", "include")])
def test_in_our_own_form_another_programs_list_says_what_to_write(entries, key, ours):
    found = entries("x.json", {"servers": [{"name": "a", "command": "x", key: ["write"]}]})["a"]
    assert found.unclear == f'nobody reads the key {key!r}; write "tools": {{"{ours}": [...]}}'


@pytest.mark.parametrize(
    "keys, enabled",
    [
        ({"disabled": "true"}, False),
        ({"disabled": "False"}, True),
        ({"disabled": 1}, False),
        ({"enabled": "no"}, False),
        ({"enabled": False}, False),
        ({"isActive": False}, False),
        ({"enabled": True, "disabled": True}, False),
        ({"disabled": ""}, True),
    ],
)
def test_a_switch_may_be_written_in_many_ways(entries, keys, enabled):
    assert entries("x.json", {"mcpServers": {"a": {"command": "x", **keys}}})["a"].keys["enabled"] is enabled


def test_a_switch_that_cannot_be_read_disables_its_server(entries):
    found = entries("x.json", {"mcpServers": {"a": {"command": "x", "disabled": "perhaps"}}})["a"]
    assert found.unclear == "disabled: it must be true or false"


def test_every_program_is_tried_here():
    text = Path(__file__).read_text(encoding="utf-8").lower()
    named = {re.sub(r"\W", "_", program.name.lower()) for program in PROGRAMS}
    untried = {name for name in named if name.partition("_")[0] not in text}
    assert untried == set()
