"""`list`, `enable`, `disable`, `add`, `remove` in every form of a file that the gateway reads."""

from __future__ import annotations

import json
import re

import pytest

FORMS = {
    "own.json": """\
{"servers": [
  {"name": "a", "command": "x"}, // first
  {"name": "b", "command": "y", "enabled": false}
]}
""",
    "list.json": """\
[
  {"name": "a", "command": "x"},
  {"name": "b", "command": "y", "enabled": false}
]
""",
    "own.yaml": """\
# mine
servers:
  - name: a
    command: x
  - name: b
    command: y
    enabled: false
""",
    "own.toml": """\
# mine
[[servers]]
name = "a"
command = "x"

[[servers]]
name = "b"
command = "y"
enabled = false
""",
    "map.json": """\
{"a": {"command": "x"}, "b": {"command": "y", "disabled": true}}
""",
    "claude_desktop_config.json": """\
{
  "mcpServers": {
    "a": {"command": "x"},
    "b": {"command": "y", "disabled": true}
  }
}
""",
    "both.json": """\
{
  "servers": [{"name": "a", "command": "x"}],
  "mcpServers": {"b": {"command": "y", "disabled": true}}
}
""",
    ".vscode/mcp.json": """\
{
  "servers": {
    "a": {"command": "x"},
    "b": {"command": "y", "disabled": true}
  },
  "inputs": []
}
""",
    ".vscode/settings.json": """\
{
  "editor.fontSize": 12,
  "mcp": {
    "servers": {
      "a": {"command": "x"},
      "b": {"command": "y", "disabled": true}
    }
  }
}
""",
    ".codex/config.toml": """\
# mine
model = "m"

[mcp_servers.a]
command = "x"

[mcp_servers.b]
command = "y"
enabled = false
""",
    "zed/settings.json": """\
{
  "theme": "One",
  "context_servers": {
    "a": {
      "command": {
        "path": "x"
      }
    },
    "b": {"command": "y", "enabled": false}
  }
}
""",
    "goose/config.yaml": """\
GOOSE_MODEL: m
extensions:
  a:
    type: stdio
    cmd: x
    enabled: true
  b:
    type: stdio
    cmd: y
    enabled: false
""",
    "opencode.json": """\
{
  "mcp": {
    "a": {"type": "local", "command": ["x"]},
    "b": {"type": "local", "command": ["y"], "enabled": false}
  }
}
""",
    "amp.json": """\
{"amp.mcpServers": {"a": {"command": "x"}, "b": {"command": "y", "disabled": true}}}
""",
    ".continue/config.yaml": """\
name: mine
mcpServers:
  - name: a  # first
    command: x
  - name: b
    command: y
    disabled: true
""",
    ".continue/old.json": """\
{
  "experimental": {
    "modelContextProtocolServers": [
      {
        "name": "a",
        "transport": {"type": "stdio", "command": "x"}
      },
      {
        "name": "b",
        "transport": {"type": "stdio", "command": "y", "disabled": true}
      }
    ]
  }
}
""",
    "hidden.json": """\
{"some.mcpServers": {"a": {"command": "x"}, "b": {"command": "y", "disabled": true}}}
""",
}
"""Files with a server `a` that is on and a server `b` that is off, by what they are called."""

SWITCH = re.compile("enabled|disabled")


@pytest.fixture
def write(tmp_path, monkeypatch, installed):
    """Write a file of servers; return its path."""

    def write_file(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("SERVER_CONFIG_PATH", str(path))
        return path

    return write_file


@pytest.fixture(params=list(FORMS))
def file(request, write):
    return write(request.param, FORMS[request.param])


def states(run):
    """Return whether each listed server is on; `check` and `list` agree."""
    code, out, err = run("list", "--json")
    assert code == 0, err
    found = {one["name"]: one["enabled"] for one in json.loads(out)["servers"]}
    checked = run("check", "--json")
    assert sorted(json.loads(checked[1])["servers"]) == sorted(name for name in found if found[name]), checked
    return found


def test_list_says_which_are_on(run, file):
    assert states(run) == {"a": True, "b": False}
    targets = {one["name"]: one["target"] for one in json.loads(run("list", "--json")[1])["servers"]}
    assert targets == {"a": "x", "b": "y"}


@pytest.mark.parametrize("name, verbs", [("a", ("disable", "enable")), ("b", ("enable", "disable"))])
def test_a_server_is_switched_and_back(run, file, name, verbs):
    before = states(run)
    for verb in verbs:
        code, out, err = run(verb, name, "--json")
        assert (code, err, json.loads(out)["changed"]) == (0, "", True)
        assert states(run) == {**before, name: verb == "enable"}
        assert json.loads(run(verb, name, "--json")[1])["changed"] is False


def text_of(file):
    return next(text for name, text in FORMS.items() if file.as_posix().endswith(f"/{name}"))


def test_a_server_is_switched_off_by_the_key_that_the_file_has(run, file):
    assert run("disable", "a")[0] == 0
    before, written = (set(SWITCH.findall(text)) for text in (text_of(file), file.read_text(encoding="utf-8")))
    assert written == (before | {"enabled"} if file.name == "both.json" else before)


@pytest.mark.parametrize("words", [("--", "prog", "-y"), ("http://127.0.0.1:1/mcp", "-H", "X-Key: k")])
def test_a_server_is_added_and_removed_again(run, file, words):
    before = file.read_text(encoding="utf-8")
    code, _, err = run("add", "c", "--no-try", *words)
    assert (code, err) == (0, "")
    assert states(run) == {"a": True, "b": False, "c": True}
    assert run("remove", "c")[0] == 0
    assert file.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_server_is_removed_and_the_other_stays(run, file, name):
    assert run("remove", name)[0] == 0
    kept = {"a": True, "b": False}
    del kept[name]
    assert states(run) == kept
    assert run("undo")[0] == 0
    assert file.read_text(encoding="utf-8") == text_of(file)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_server_is_replaced_where_it_stands(run, file, name):
    assert run("add", name, "--no-try", "--", "z")[0] == 1
    assert run("add", name, "--force", "--no-try", "--", "z")[0] == 0
    assert states(run) == {"a": True, "b": False, name: True}


# -- entries that are not as they should be


def problems(run):
    return "\n".join(json.loads(run("list", "--json")[1])["problems"])


PLAIN = {
    "map.json": '{"mcpServers": {"a": "npx server", "b": {"command": "y"}}}',
    "list.yaml": "mcpServers:\n  - npx server\n  - name: b\n    command: y\n",
    "own.json": '{"servers": ["npx server", {"name": "b", "command": "y"}]}',
}
"""Files whose first server is a plain text, and what it is called."""


@pytest.mark.parametrize("form, name", [("map.json", "a"), ("list.yaml", "list-0"), ("own.json", "entry-1")])
def test_a_plain_text_is_listed_as_off_cannot_be_switched_and_can_be_removed(run, write, form, name):
    file = write(form, PLAIN[form])
    assert states(run) == {name: False, "b": True}
    assert "it must be an object" in problems(run)
    for verb in ("enable", "disable"):
        code, _, err = run(verb, name)
        assert (code, "it must be an object" in err) == (1, True)
    assert file.read_text(encoding="utf-8") == PLAIN[form]
    assert run("remove", name)[0] == 0
    assert states(run) == {"b": True}


def test_an_entry_without_a_name_that_is_text_is_called_by_its_place(run, write):
    write("own.json", '{"servers": [{"command": "x"}, {"name": 5, "command": "y"}, {"name": "b", "command": "z"}]}')
    names = [one["name"] for one in json.loads(run("list", "--json")[1])["servers"]]
    assert names == ["entry-1", "entry-2", "b"]
    assert "server 'entry-2' is not used: name: it must be text" in problems(run)
    assert run("remove", "entry-2")[0] == 0
    assert run("remove", "entry-1")[0] == 0
    assert states(run) == {"b": True}


def test_a_plain_text_is_replaced_by_force(run, write):
    write("map.json", PLAIN["map.json"])
    assert run("add", "a", "--no-try", "--", "npx", "server")[0] == 1
    assert run("add", "a", "--force", "--no-try", "--", "npx", "server")[0] == 0
    assert states(run) == {"a": True, "b": True}


def test_an_item_of_a_list_without_a_name_has_the_one_that_the_gateway_gives_it(run, write):
    write("mine.yaml", "mcpServers:\n  - command: x\n  - name: b\n    command: y\n")
    assert states(run) == {"mine-0": True, "b": True}
    assert run("disable", "mine-0")[0] == 0
    assert states(run) == {"mine-0": False, "b": True}


def test_a_name_that_no_server_can_have_here_is_known_by_both(run, write):
    file = write("map.json", '{"mcpServers": {"My Notes": {"command": "x"}}}')
    (name,) = states(run)
    for called in ("My Notes", name):
        assert run("disable", called)[0] == 0
        assert states(run) == {name: False}
        assert run("enable", called)[0] == 0
    assert run("add", name, "--force", "--no-try", "--", "z")[0] == 0
    assert json.loads(file.read_text(encoding="utf-8"))["mcpServers"] == {"My Notes": {"command": "z"}}


def test_what_the_file_leaves_out_elsewhere_is_off_and_is_not_switched_on_in_the_entry(run, write):
    text = '{"mcpServers": {"a": {"command": "x"}}, "disabledMcpServers": ["a"], "numStartups": 1}'
    file = write(".claude.json", text)
    assert states(run) == {"a": False}
    code, _, err = run("enable", "a")
    assert (code, "disabledMcpServers" in err, "by hand" in err) == (1, True, True)
    assert file.read_text(encoding="utf-8") == text
    assert json.loads(run("disable", "a", "--json")[1])["changed"] is False


def test_an_entry_that_stands_in_two_places_is_removed_from_both(run, write):
    write("two.json", '{"mcpServers": {"a": {"command": "x"}}, "context_servers": {"a": {"command": "x"}}}')
    assert states(run) == {"a": True}
    assert run("remove", "a")[0] == 0
    assert json.loads(run("list", "--json")[1])["servers"] == []


def test_a_file_that_is_one_server_is_switched_and_nothing_is_added(run, write):
    file = write("alone.json", '{"command": "x"}')
    assert states(run) == {"alone": True}
    assert run("disable", "alone")[0] == 0
    assert states(run) == {"alone": False}
    for words in (("add", "c", "--no-try", "--", "z"), ("remove", "alone")):
        code, _, err = run(*words)
        assert (code, str(file) in err) == (1, True)


@pytest.mark.parametrize("verb", [("list",), ("add", "c", "--no-try", "--", "x"), ("remove", "a")])
def test_a_file_of_something_else_is_named_for_what_it_looks_like(run, write, verb):
    text = '{"name": "app", "scripts": {}, "dependencies": {}}'
    file = write("package.json", text)
    code, _, err = run(*verb)
    assert (code, "it looks like a package.json" in err, file.read_text(encoding="utf-8")) == (1, True, text)


@pytest.mark.parametrize(
    "name, text, added",
    [
        (".cursor/mcp.json", "{}", {"mcpServers": {"c": {"command": "z"}}}),
        (".cursor/mcp.json", "", {"mcpServers": {"c": {"command": "z"}}}),
        ("servers.json", '{"version": 1}', {"version": 1, "servers": [{"name": "c", "command": "z"}]}),
        ("servers.json", '{"mcpServers": []}', {"mcpServers": [{"name": "c", "command": "z"}]}),
        ("servers.json", "[]", [{"name": "c", "command": "z"}]),
    ],
)
def test_the_first_server_is_written_in_the_form_of_the_file(run, write, name, text, added):
    file = write(name, text)
    code, _, err = run("add", "c", "--no-try", "--", "z")
    assert (code, err) == (0, "")
    assert json.loads(file.read_text(encoding="utf-8")) == added
    assert states(run) == {"c": True}
