"""The forms of the server file: our own, that of Claude Desktop and Cursor, and that of VS Code."""

from __future__ import annotations

import json

import pytest

from mcp_gateway.config.forms.entry_file import read_entry_file
from mcp_gateway.plugin import ConfigError


@pytest.fixture
def entries(tmp_path):
    def read(written):
        path = tmp_path / "servers.json"
        path.write_text(written if isinstance(written, str) else json.dumps(written), encoding="utf-8")
        return list(read_entry_file(path).entries)

    return read


@pytest.fixture
def whole(tmp_path):
    def read(written, name="servers.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written if isinstance(written, str) else json.dumps(written), encoding="utf-8")
        return read_entry_file(path)

    return read


@pytest.fixture
def foreign(entries):
    """Read one entry of a client's form; return its keys."""
    return lambda **keys: entries({"mcpServers": {keys.pop("called", "alpha"): keys}})[0]


@pytest.fixture
def problem(entries):
    def of(written):
        with pytest.raises(ConfigError) as caught:
            entries(written)
        return str(caught.value)

    return of


def test_our_own_form_is_a_list(entries):
    [entry] = entries({"version": "1.0", "servers": [{"name": "a", "url": "http://x", "transport": "http"}]})
    assert entry.keys == {"name": "a", "url": "http://x", "transport": "http"}
    assert not entry.foreign
    assert entry.where.endswith("servers.json: server 'a'")


def test_an_entry_without_a_name_is_called_by_its_place(entries):
    assert entries({"servers": [{"command": "x"}]})[0].where.endswith("servers.json: entry-1")


def test_claude_desktops_form_is_a_mapping_by_name(entries):
    [a, b] = entries({"mcpServers": {"a": {"command": "x", "args": ["y"]}, "b": {"url": "http://x"}}})
    assert a.keys == {"name": "a", "command": "x", "args": ["y"], "transport": "stdio"}
    assert b.keys == {"name": "b", "url": "http://x", "transport": "http"}
    assert a.foreign
    assert b.foreign


def test_vs_codes_form_has_comments_trailing_commas_and_keys_of_its_own(entries):
    [entry] = entries("""{
        // the servers of this workspace
        "inputs": [{"id": "key", "type": "promptString"},],
        "servers": {
            "alpha": { "type": "http", "url": "https://example.org/mcp", /* yes */ },
        },
    }""")
    assert entry.keys == {"name": "alpha", "url": "https://example.org/mcp", "transport": "http"}
    assert entry.foreign


def test_both_forms_may_stand_in_one_file(entries):
    found = entries({"servers": [{"name": "a", "command": "x"}], "mcpServers": {"b": {"command": "y"}}})
    assert [(entry.keys["name"], entry.foreign) for entry in found] == [("a", False), ("b", True)]


@pytest.mark.parametrize(
    "said, transport",
    [
        ("stdio", "stdio"),
        ("STDIO", "stdio"),
        ("local", "stdio"),
        ("http", "http"),
        ("streamable-http", "http"),
        ("streamableHttp", "http"),
        ("streamable_http", "http"),
        ("remote", "http"),
        ("carrier-pigeon", "carrier-pigeon"),
    ],
)
@pytest.mark.parametrize("key", ["type", "transport"])
def test_a_transport_may_be_written_in_every_spelling_that_clients_use(entries, key, said, transport):
    assert entries({"mcpServers": {"a": {key: said}}})[0].keys == {"name": "a", "transport": transport}
    assert entries({"servers": [{"name": "a", key: said}]})[0].keys == {"name": "a", "transport": transport}


def test_transport_wins_over_type(entries):
    assert entries({"servers": [{"name": "a", "type": "http", "transport": "stdio"}]})[0].keys["transport"] == "stdio"


def test_a_transport_that_is_not_said_is_inferred(foreign):
    assert foreign(command="x").keys["transport"] == "stdio"
    assert foreign(url="http://x").keys["transport"] == "http"


@pytest.mark.parametrize("spelling", ["url", "serverUrl", "httpUrl"])
def test_a_clients_spelling_of_the_address_is_read(foreign, spelling):
    assert foreign(**{spelling: "http://x"}).keys == {"name": "alpha", "url": "http://x", "transport": "http"}


def test_a_clients_headers_are_saved_headers(foreign):
    keys = foreign(url="http://x", headers={"X-Key": "k"}).keys
    assert (keys["auth_headers"], keys["auth_type"]) == ({"X-Key": "k"}, "static")


def test_empty_headers_are_none(foreign):
    assert foreign(url="http://x", headers={}).keys == {"name": "alpha", "url": "http://x", "transport": "http"}


def test_headers_do_not_overrule_an_auth_type_that_is_said(foreign):
    assert foreign(url="http://x", headers={"X-Key": "k"}, auth_type="forward").keys["auth_type"] == "forward"


def test_a_client_may_switch_a_server_off(foreign):
    assert foreign(command="x", disabled=True).keys["enabled"] is False
    assert foreign(command="x", disabled=False).keys["enabled"] is True


def test_a_clients_long_timeout_is_in_milliseconds(foreign):
    entry = foreign(command="x", timeout=60_000)
    assert entry.keys["timeout"] == 60
    assert entry.warnings == ("its timeout is taken as milliseconds: 60 s",)
    assert foreign(command="x", timeout=60).keys["timeout"] == 60


@pytest.mark.parametrize(
    "called, tamed", [("My Server!", "My-Server"), ("a__b", "a_b"), ("ümlaut", "umlaut"), ("…", "server"), ("ok", "ok")]
)
def test_an_odd_name_is_sanitized_and_the_new_one_is_reported(foreign, called, tamed):
    entry = foreign(called=called, command="x")
    assert entry.keys["name"] == tamed
    assert entry.warnings == (() if called == tamed else (f"it is called {tamed!r} here",))


def test_a_null_is_as_good_as_nothing(entries):
    nothing = {"url": None, "command": "x", "env": None}
    assert entries({"mcpServers": {"a": nothing}})[0].keys == {"name": "a", "command": "x", "transport": "stdio"}
    assert entries({"servers": [{"name": "a", **nothing}]})[0].keys["transport"] == "stdio"


def test_a_byte_order_mark_is_no_matter(tmp_path):
    path = tmp_path / "servers.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"servers": []}')
    assert read_entry_file(path).entries == ()


def test_text_that_is_not_json_is_named_with_line_and_column(problem):
    said = problem('{\n  "servers": [\n    {"name": }\n  ]\n}')
    assert "servers.json: line 3, column 14: " in said
    assert "(the file is not JSON)" in said


@pytest.mark.parametrize(
    "text",
    [
        r'{"servers": [{"name": "a", "command": "C:\Users\me\server.exe"}]}',
        '{"servers": [ // it says "hello\n{"name": "a", "command": "\\\\\\\\server\\share"},]}',
        r'{"servers": [{"name": "a", "command": "\u00"}]}',
    ],
)
def test_a_path_of_windows_whose_backslashes_are_not_written_twice_is_refused(problem, text):
    assert "is no escape; write a backslash twice" in problem(text)


def test_backslashes_that_are_written_twice_are_kept_beside_comments(entries):
    [entry] = entries(r'{"servers": [{"name": "a", "command": "C:\\Users\\new", "cwd": "\u0041"},]} // C:\Users')
    assert (entry.keys["command"], entry.keys["cwd"]) == (r"C:\Users\new", "A")


def test_the_place_of_a_mistake_is_right_in_a_file_with_comments_too(problem):
    assert "line 4, column 1: " in problem('{\n  // a comment\n  "servers": [[], []\n}')


@pytest.mark.parametrize("written", ["", " \n"])
def test_an_empty_file_is_told_what_to_hold(problem, written):
    assert 'servers.json: it is empty; write {"servers": [...]} or {"mcpServers": {...}}' in problem(written)


@pytest.mark.parametrize(
    "written, said",
    [
        ({"mcpServer": {}}, "nobody reads the key 'mcpServer'; did you mean 'mcpServers'?"),
        ({"mcpServers": 3}, "what 'mcpServers' holds is neither"),
    ],
)
def test_a_file_without_servers_is_told_of_a_near_miss(problem, written, said):
    assert problem(written).endswith(f'or {{"mcpServers": {{...}}}}; {said}')


@pytest.mark.parametrize("written", ['[{"name": "a"}]', "3", "null", '"text"'])
def test_a_file_that_holds_no_object_says_what_it_must_hold(problem, written):
    assert "it must hold a JSON object, which stands in braces: { ... }" in problem(written)


@pytest.mark.parametrize("written", ["{}", '{"servers": 3}', '{"mcpServers": "x"}', '{"server": []}'])
def test_a_file_without_servers_says_how_to_write_them(problem, written):
    assert 'it has no servers: write {"servers": [...]} or {"mcpServers": {...}}' in problem(written)


def test_a_key_beside_the_servers_that_nobody_reads_is_a_warning_with_a_suggestion(whole):
    [warning] = whole({"servers": [], "mcpServer": {}, "//": "mine", "_comment": 1, "$schema": "x"}).warnings
    assert warning.endswith("servers.json: nobody reads the key 'mcpServer'; did you mean 'mcpServers'?")


@pytest.mark.parametrize("written", [{"servers": ["x"]}, {"servers": [None]}, {"mcpServers": {"a": 3}}])
def test_an_entry_that_is_no_object_takes_itself_only(entries, written):
    [entry] = entries(written)
    assert entry.unclear.startswith("it must be an object, such as")


@pytest.mark.parametrize(
    "written, name, line",
    [
        ('{"servers": [{"command": "x",\n"name": "a", "name": "b"}]}', "b", 2),
        ('{"mcpServers": {"b": {},\n\n"b": {"command": "x"}}}', "b", 3),
        ('{"mcpServers": {"b": {"command": "y", // as editors do\n"command": "x"}}}', "b", 2),
    ],
)
def test_of_a_key_that_stands_twice_the_last_counts_with_a_warning(whole, written, name, line):
    found = whole(written)
    assert [(entry.keys["name"], entry.keys["command"]) for entry in found.entries] == [(name, "x")]
    [warning] = found.warnings
    assert f"line {line}: the key " in warning
    assert "stands twice in one object, first in line" in warning


@pytest.mark.parametrize(
    "key", ["//", "// note", "#", "#off", "$schema", "_comment", "__comment_2", "comment", "description"]
)
def test_a_comment_key_comments_wherever_it_stands(entries, key):
    env = {key: "what it is", "A": "1"} if key not in {"comment", "description"} else {"A": "1"}
    own = {} if key in {"comment", "description"} else {key: "the clock"}
    alpha = {"command": "x", "env": env, **own}
    for place in ("mcpServers", "servers"):
        [entry] = entries({key: "mine", place: {key: "all of them", "alpha": alpha}})
        assert entry.keys == {"name": "alpha", "command": "x", "env": {"A": "1"}, "transport": "stdio"}
        assert entry.warnings == ()


def test_a_server_whose_name_is_commented_out_is_left_out_and_one_called_notes_is_not(entries):
    found = entries({"mcpServers": {"//old": {"command": "x"}, "#older": {"command": "x"}, "notes": {"command": "y"}}})
    assert [entry.keys["name"] for entry in found] == ["notes"]


def test_a_file_that_does_not_exist_says_which_variable_leads_to_it(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.json: there is no such file; write it, or set SERVER_CONFIG_PATH"):
        read_entry_file(tmp_path / "nowhere.json")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match="it cannot be read: it is a folder; name the file in it"):
        read_entry_file(tmp_path)
    (tmp_path / "latin").write_bytes(b'{"servers": "\xff"}')
    with pytest.raises(ConfigError, match="latin: it cannot be read: it is not UTF-8; save it as UTF-8"):
        read_entry_file(tmp_path / "latin")


def test_a_deeply_nested_file_is_refused_and_does_not_break_the_reader(problem):
    assert "servers.json" in problem('{"servers": ' + "[" * 100_000 + "]" * 100_000 + "}")
