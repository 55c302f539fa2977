"""Entries of other programs in our own form: what is read of them must be what was meant in their file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mcp_gateway_cli.clients.programs import ClientProgram, find_program
from mcp_gateway_cli.clients.survey import inspect_file
from mcp_gateway_cli.clients.translation import translate_entry

from mcp_gateway.config.forms.entry_file import read_entry_file
from mcp_gateway.control.client_files import read_client_file
from mcp_gateway.plugin import ConfigError


@pytest.fixture
def translate(tmp_path):
    """Translate the only server of a file; return it, and how the gateway reads it from a file of its own."""

    def translate_file(name: str, document):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        file = read_client_file(path)
        (raw,) = file.entries
        entry = translate_entry(raw, file.folder, file.questions)
        ours = tmp_path / "elsewhere" / "server_config.json"
        ours.parent.mkdir(exist_ok=True)
        ours.write_text(json.dumps({"servers": [entry]}), encoding="utf-8")
        (read,) = read_entry_file(ours).entries
        assert not read.unclear
        return entry, raw, read

    return translate_file


def test_an_entry_keeps_what_it_means(translate):
    entry, raw, read = translate(
        ".gemini/settings.json",
        {"mcpServers": {"a b": {"command": "npx", "args": ["-y", "x"], "env": {"T": "$TOKEN"}, "timeout": 5000}}},
    )
    assert entry == {
        "name": "a-b",
        "command": "npx",
        "args": ["-y", "x"],
        "env": {"T": "${TOKEN:-$TOKEN}"},
        "timeout": 5.0,
    }
    assert dict(read.keys) == {**raw.keys}


def test_headers_and_a_transport_are_kept(translate):
    entry, _, _ = translate(
        ".cursor/mcp.json", {"mcpServers": {"x": {"type": "sse", "url": "http://x/sse", "headers": {"X-Key": "v"}}}}
    )
    assert entry == {
        "name": "x",
        "transport": "sse",
        "url": "http://x/sse",
        "auth_headers": {"X-Key": "v"},
        "auth_type": "static",
    }


def test_paths_that_begin_at_the_file_become_whole(translate, tmp_path):
    entry, _, _ = translate(
        ".cursor/mcp.json",
        {"mcpServers": {"x": {"command": "./bin/x", "args": ["${workspaceFolder}/d"], "cwd": "w", "envFile": "~/e"}}},
    )
    assert entry == {
        "name": "x",
        "command": str(tmp_path / "bin" / "x"),
        "args": [f"{tmp_path}/d"],
        "cwd": str(tmp_path / "w"),
        "envFile": "~/e",
    }


FOLDERS = {
    "an argument": {"args": ["-y", "${workspaceFolder}"]},
    "within an argument": {"args": ["--root=${workspaceRoot}/src"]},
    "of several": {"args": ["${workspaceFolder:api}"]},
    "its name": {"env": {"PROJECT": "${workspaceFolderBasename}"}},
    "the cwd": {"cwd": "${workspaceFolder}"},
    "where the program runs": {"env": {"ROOT": "${cwd}"}},
    "an open file": {"args": ["${file}"]},
    "a folder of a file": {"args": ["${fileDirname}"]},
    "a project's": {"env": {"ROOT": "${CLAUDE_PROJECT_DIR:-.}"}},
    "a file of variables": {"envFile": "${workspaceFolder}/.env"},
    "a URL": {"command": None, "url": "http://127.0.0.1:1/${workspaceFolderBasename}"},
    "a header": {"command": None, "url": "http://127.0.0.1:1/", "headers": {"X-Root": "${workspaceFolder}"}},
    "a relative cwd": {"cwd": "."},
    "a relative command": {"command": "./bin/x"},
    "a relative file of variables": {"envFile": ".env"},
}


@pytest.fixture
def read_both(tmp_path, monkeypatch):
    """Read an entry in a program's user-wide file and in a project's; return the two servers."""

    def read(keys):
        program = find_program("cursor")
        found = []
        for folder in (tmp_path / "home", tmp_path / "project"):
            path = folder / ".cursor" / "mcp.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"mcpServers": {"x": {"command": "x", **keys}}}), encoding="utf-8")
            monkeypatch.setenv("HOME", str(tmp_path / "home"))
            owner = program if folder.name == "home" else ClientProgram(name="", title="", find_files=lambda _: ())
            (server,) = inspect_file(owner, path).servers
            found.append(server)
        return found

    return read


@pytest.mark.parametrize("kind", FOLDERS)
def test_what_depends_on_the_open_folder_stays_in_the_program_but_not_in_a_project(read_both, kind, tmp_path):
    in_program, in_project = read_both(FOLDERS[kind])
    assert in_program.entry is None
    assert in_program.problem.startswith("only that program knows ")
    assert "to have it for one folder, add it with that folder" in in_program.problem
    assert in_project.entry is not None
    assert str(tmp_path / "home") not in json.dumps(in_project.entry)


@pytest.mark.parametrize(
    "keys",
    [
        {"args": ["${userHome}/notes", "${HOME}", "~/x", ".", "${env:ROOT}"]},
        {"cwd": "~/notes", "envFile": "${userHome}/e"},
        {"cwd": "/srv", "command": "/opt/x", "env": {"PWD": "${PWD}"}},
    ],
)
def test_what_is_the_same_in_every_folder_is_moved(read_both, keys):
    in_program, _ = read_both(keys)
    assert in_program.problem == ""
    assert {key: in_program.entry[key] for key in keys} == keys


def test_a_file_that_is_named_beside_it_becomes_whole(translate, tmp_path):
    entry, _, _ = translate("opencode.json", {"mcp": {"x": {"type": "local", "command": ["x", "{file:./key}"]}}})
    assert entry["args"] == [f"${{file:{tmp_path}/key}}"]


def test_an_input_with_a_default_becomes_its_default(translate):
    entry, _, _ = translate(
        "Code/User/mcp.json",
        {
            "inputs": [{"id": "zone", "type": "promptString", "default": "UTC"}],
            "servers": {"x": {"command": "x", "args": ["${input:zone}"]}},
        },
    )
    assert entry["args"] == ["UTC"]


def test_an_input_that_only_a_person_can_answer_is_refused(translate):
    document = {
        "inputs": [{"id": "key", "type": "promptString", "password": True}],
        "servers": {"x": {"command": "x", "env": {"K": "${input:key}"}}},
    }
    with pytest.raises(
        ConfigError, match=r"only that program can ask for its input 'key'; add the server with .* add NAME -e KEY"
    ):
        translate("Code/User/mcp.json", document)


@pytest.mark.parametrize(
    "name, document, tools",
    [
        (
            ".codex/config.toml",
            '[mcp_servers.x]\ncommand = "x"\nenabled_tools = ["a", "b*"]\n',
            {"include": ["a", "b[*]"]},
        ),
        (".gemini/settings.json", {"mcpServers": {"x": {"command": "x", "excludeTools": ["a"]}}}, {"exclude": ["a"]}),
        (
            ".claude.json",
            {"mcpServers": {"x": {"command": "x"}}, "disallowedTools": ["mcp__x__a", "mcp__y__b"]},
            {"exclude": ["a"]},
        ),
        (".claude.json", {"mcpServers": {"x": {"command": "x"}}, "disallowedTools": ["mcp__*"]}, {"exclude": ["*"]}),
        (
            "opencode.json",
            {"mcp": {"x": {"type": "local", "command": ["x"]}}, "tools": {"x_a": False}},
            {"exclude": ["a"]},
        ),
    ],
)
def test_what_is_forbidden_there_stays_forbidden(translate, name, document, tools):
    entry, raw, _ = translate(name, document)
    assert entry["tools"] == tools
    assert not raw.policy.permits("a") or "include" in tools


def test_lists_that_one_entry_cannot_say_are_refused(translate):
    document = {"mcp": {"x": {"type": "local", "command": ["x"]}}, "tools": {"x_*": False, "x_a": True}}
    with pytest.raises(ConfigError, match="by turns"):
        translate("opencode.json", document)


def test_a_file_without_servers_and_an_empty_one_are_no_errors(tmp_path):
    for text in ("", "{}", '{"mcpServers": {}, "numStartups": 3}'):
        (tmp_path / ".claude.json").write_text(text, encoding="utf-8")
        assert read_client_file(tmp_path / ".claude.json").entries == ()


def test_servers_of_single_projects_are_only_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    servers = {"mcpServers": {"local": {"command": "x"}}}
    path = Path(tmp_path / ".claude.json")
    path.write_text(json.dumps({"mcpServers": {"a": {"command": "a"}}, "projects": {str(tmp_path): servers}}))
    file = read_client_file(path)
    assert ([entry.title for entry in file.entries], file.elsewhere) == (["a"], ("local",))
    assert file.entries[0].place == ("mcpServers",)


def test_a_broken_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "mcp.json").write_text('{"mcpServers": {', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mcp\.json: "):
        read_client_file(tmp_path / "mcp.json")
