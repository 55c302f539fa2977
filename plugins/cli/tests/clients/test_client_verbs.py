"""The verbs for programs: what they say, what they write, and how they go back."""

from __future__ import annotations

import json

import pytest

SECRET = "sk-very-secret-0123456789"
CURSOR = {"mcpServers": {"mail": {"command": "mail", "env": {"TOKEN": SECRET}}, "notes": {"command": "notes"}}}
ZED = '// mine\n{"vim_mode": true, "context_servers": {"notes": {"command": "notes"}}}\n'


@pytest.fixture
def home(make_home):
    """Return a home folder in which Cursor and Zed have servers."""
    return make_home({".cursor/mcp.json": json.dumps(CURSOR), ".config/zed/settings.json": ZED})


def read_all(home):
    """Return every file but those of the journal."""
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_without_a_person_init_only_says_what_it_would_do(home, run):
    before = read_all(home)
    for arguments, expected in ((("init",), 2), (("init", "--dry-run"), 0), (("init", "--dry-run", "--json"), 0)):
        code, out, err = run(*arguments)
        assert (code, read_all(home)) == (expected, before)
        assert "gateway" in out
        assert SECRET not in out + err
    assert "repeat it with --yes" in run("init")[2]


def test_what_init_reports_as_json_has_stable_keys(home, run):
    code, out, _ = run("init", "--yes", "--no-try", "--json")
    found = json.loads(out)
    assert code == 0
    assert set(found) == {"programs", "servers", "left_out", "changes", "problems", "tokens", "written"}
    assert found["programs"][0] == {
        "program": "cursor",
        "file": str(home / ".cursor" / "mcp.json"),
        "servers": ["mail", "notes"],
        "connected": False,
        "problem": "",
    }
    assert [(each["name"], len(each["from"])) for each in found["servers"]] == [("mail", 1), ("notes", 2)]
    assert (found["tokens"], len(found["written"])) == (None, 3)
    assert SECRET not in out


def test_what_is_behind_the_gateway_is_counted_whoever_put_it_there(home, run):
    told = "behind the gateway, which is in"
    assert run("add", "clock", "--no-try", "--", "clock")[0] == 0
    assert run("add", "off", "--no-try", "--", "off")[0] == 0
    assert run("disable", "off")[0] == 0
    assert run("connect", "kiro")[0] == 0
    out = run("init", "--yes", "--no-try")[1]
    assert f"3 servers {told} 3 programs now; restart Cursor, Zed to use it" in out.splitlines()
    (home / ".kiro" / "settings" / "mcp.json").write_text('{"mcpServers": {"more": {"command": "more"}}}')
    out = run("init", "--yes", "--no-try")[1]
    assert f"4 servers {told} 3 programs now; restart Kiro to use it" in out.splitlines()


def test_what_is_alone_is_spoken_of_so(home, run):
    (home / ".config" / "zed" / "settings.json").unlink()
    out = run("init", "--yes", "--no-try")[1]
    assert "2 servers behind the gateway, which is in 1 program now; restart it to use it" in out.splitlines()


def test_servers_stay_in_a_program_whose_gateway_reads_another_file(home, run, monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME")  # as it is in most homes: entries need not name the file
    other, cursor = home / "other.json", home / ".cursor" / "mcp.json"
    other.write_text('{"servers": []}', encoding="utf-8")
    assert run("--config", str(other), "connect", "cursor")[0] == 0
    before = cursor.read_bytes()
    code, out, _ = run("init", "--yes", "--no-try")
    told = f"its gateway reads {other}; to move its servers there: mcp-orchestration-gateway init --config {other}"
    assert (code, f"left as it is: ~/.cursor/mcp.json: {told}" in out.splitlines()) == (1, True)
    assert cursor.read_bytes() == before
    assert run("init", "--yes", "--no-try", "--config", str(other))[0] == 0
    assert list(json.loads(cursor.read_bytes())["mcpServers"]) == ["gateway"]
    assert [each["name"] for each in json.loads(other.read_bytes())["servers"]] == ["mail", "notes"]


def test_servers_stay_in_the_programs_if_wanted(home, run):
    assert run("init", "--yes", "--no-try", "--keep")[0] == 0
    servers = json.loads((home / ".cursor" / "mcp.json").read_bytes())["mcpServers"]
    assert list(servers) == ["mail", "notes", "gateway"]


def test_undo_can_keep_what_a_program_has_written_since(home, run):
    before = read_all(home)
    assert run("init", "--yes", "--no-try")[0] == 0
    changed = home / ".config" / "zed" / "settings.json"
    changed.write_text(changed.read_text().replace('"vim_mode": true', '"vim_mode": false'))
    assert run("undo", "--merge")[0] == 0
    after = read_all(home)
    assert json.loads(after.pop(changed).decode().removeprefix("// mine\n")) == {
        "vim_mode": False,
        "context_servers": {"notes": {"command": "notes"}},
    }
    before.pop(changed)
    assert after == before


def test_undo_goes_back_one_command_at_a_time_or_all_the_way(home, run):
    before = read_all(home)
    for arguments in (("import", "cursor", "--no-try"), ("connect", "cursor"), ("disconnect", "cursor")):
        assert run(*arguments)[0] == 0
    changes = json.loads(run("undo", "--list", "--json")[1])["changes"]
    assert [change["command"] for change in changes] == ["disconnect", "connect", "import"]
    assert set(changes[0]) == {"time", "command", "targets", "config", "files"}
    assert [change["targets"] for change in changes] == [["cursor"], ["cursor"], ["mail", "notes"]]
    assert json.loads(run("undo", "--json")[1]) == {
        "restored": [str(home / ".cursor" / "mcp.json")],
        "problems": [],
        "left": 2,
    }
    assert "2 earlier changes can be undone" not in run("undo", "--all", "--yes")[1]
    assert read_all(home) == before
    assert run("undo") == (0, "there is nothing to undo\n", "")


def test_import_takes_named_servers_of_a_file_and_says_what_it_leaves_out(home, run, tmp_path):
    (tmp_path / ".mcp.json").write_text(json.dumps({"mcpServers": {"a": {"command": "a"}, "b": {"args": []}}}))
    code, out, _ = run("import", ".mcp.json", "--no-try")
    assert (code, "not imported: b" in out, "imported 1 server" in out) == (1, True, True)
    code, out, _ = run("import", ".mcp.json", "--server", "a", "--no-try", "--json")
    assert (code, json.loads(out)["written"]) == (0, [])


def test_where_no_server_works_nothing_is_imported_and_that_is_said(home, run):
    before = read_all(home)
    code, out, _ = run("init", "--yes")
    told = "nothing was imported: none of these servers works; mcp-orchestration-gateway init --no-try takes them all"
    assert (code, out.splitlines()[-1], read_all(home)) == (1, f"{told} the same", before)
    code, out, _ = run("init", "--yes", "--json")
    found = json.loads(out)
    assert (code, found["error_code"], found["error"]) == (1, "problems_found", "servers that do not work: 2")
    code, out, _ = run("import", "cursor")
    assert (code, out.splitlines()[-1], read_all(home)) == (1, "nothing was imported", before)


def test_beside_the_gateway_it_is_said_as_well_that_no_server_works(home, run):
    assert run("init", "--yes", "--no-try")[0] == 0
    cursor = home / ".cursor" / "mcp.json"
    servers = json.loads(cursor.read_bytes())
    servers["mcpServers"]["new"] = {"command": "no-such-command"}
    cursor.write_text(json.dumps(servers), encoding="utf-8")
    before = read_all(home)
    code, out, _ = run("init", "--yes")
    told = "nothing was imported: none of these servers works; mcp-orchestration-gateway init --no-try takes them all"
    assert (code, out.splitlines()[-1], read_all(home)) == (0, f"{told} the same", before)
    code, out, _ = run("init", "--yes", "--json")
    assert (code, "error" in json.loads(out)) == (0, False)
    del servers["mcpServers"]["new"]
    cursor.write_text(json.dumps(servers), encoding="utf-8")
    code, out, _ = run("init", "--yes")
    assert (code, out.splitlines()[-1]) == (0, "nothing to do: the gateway is in these programs already")


OTHER = {"context_servers": {"mail": {"command": "other"}, "notes": {"command": "notes"}}}


@pytest.mark.parametrize(
    "place, name, origin",
    [
        (".config/zed/settings.json", "mail-zed", "Zed"),
        (".mcp.json", "mail-2", ".mcp.json"),
        ("settings.json", "mail-2", "settings.json"),
    ],
)
def test_a_server_whose_name_is_taken_is_called_by_its_program_and_never_by_a_file(home, run, place, name, origin):
    assert run("import", "cursor", "--no-try")[0] == 0
    folder = home if place.startswith(".config") else home.parent
    (folder / place).write_text(json.dumps(OTHER), encoding="utf-8")
    _, out, _ = run("import", str(folder / place) if folder == home else place, "--no-try")
    assert out.splitlines()[:3] == [
        f"  notes: from {origin}; the gateway has it already",
        f"  {name}: from {origin}, where it is called mail",
        "    note: another server is called mail",
    ]


def test_a_server_that_another_program_calls_otherwise_is_told_with_both_names(home, run):
    renamed = {"context_servers": {"memo": {"command": "notes"}, "notiz": {"command": "notes"}}}
    (home / ".config" / "zed" / "settings.json").write_text(json.dumps(renamed), encoding="utf-8")
    _, out, _ = run("init", "--dry-run")
    shown = "  notes: from Cursor; from Zed, where it is called memo; from Zed, where it is called notiz"
    assert shown in out.splitlines()


@pytest.mark.parametrize("verb", [("init",), ("import", "cursor")])
def test_a_dry_run_says_what_the_real_run_tries(home, run, verb):
    told = "the real run tries these servers first, and leaves out those that fail; --no-try takes them all"
    assert run(*verb, "--dry-run")[1].splitlines()[-2:] == ["nothing was written, and no server was started", told]
    assert told not in run(*verb, "--dry-run", "--no-try")[1]
    assert run(*verb, "--no-try", *(("--yes",) if verb == ("init",) else ()))[0] == 0
    assert told not in run(*verb, "--dry-run")[1]


def test_connect_says_if_there_is_nothing_to_do(home, run):
    assert "restart it to use it" in run("connect", "lm-studio")[1]
    assert "LM Studio has the gateway already" in run("connect", "LM Studio")[1]
    assert json.loads(run("connect", "lm-studio", "--json")[1]) == {"changes": [], "written": []}
    assert "the gateway is not in Zed" in run("disconnect", "zed")[1]


def test_what_disconnect_says_of_undo_is_what_undo_does(home, run):
    before = read_all(home)
    cursor = home / ".cursor" / "mcp.json"
    assert run("init", "--yes", "--no-try")[0] == 0
    moved = cursor.read_bytes()
    told, way_back = run("disconnect", "cursor")[1].splitlines()[-2:]
    assert told == "Cursor has the gateway no more; servers that init moved from there stay in the gateway"
    undo = "mcp-orchestration-gateway undo"
    assert way_back.split("; ") == [
        f"to take this back: {undo}",
        f"to have those servers there again, repeat that until init is undone, too: {undo} --list",
    ]
    assert run("undo")[0] == 0
    assert cursor.read_bytes() == moved
    assert [each["command"] for each in json.loads(run("undo", "--list", "--json")[1])["changes"]] == ["init"]
    assert run("undo")[0] == 0
    assert read_all(home) == before


@pytest.mark.parametrize("earlier", [("import", "cursor", "--no-try"), ("connect", "zed")])
def test_disconnect_speaks_of_no_servers_where_init_moved_none(home, run, earlier):
    assert (run(*earlier)[0], run("connect", "cursor")[0]) == (0, 0)
    out = run("disconnect", "cursor")[1]
    assert out.splitlines()[-1] == ("Cursor has the gateway no more; to take this back: mcp-orchestration-gateway undo")


def test_a_dry_run_of_a_part_writes_nothing(home, run):
    before = read_all(home)
    for arguments in (("connect", "zed"), ("import", "cursor")):
        code, out, _ = run(*arguments, "--dry-run")
        assert (code, "nothing was written" in out, read_all(home)) == (0, True, before)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("connect", "cursr"), "did you mean 'cursor'?"),
        (("import", "there/is/none.json"), "there/is/none.json: there is no such file"),
        (("import", "kiro"), "Kiro has no file of servers here; looked for ~/.kiro/settings/mcp.json"),
        (("import", "cursor", "--server", "note"), "did you mean 'notes'?"),
    ],
)
def test_errors_name_the_program_and_what_is_known(home, run, arguments, said):
    code, _, err = run(*arguments)
    assert (code, said in err) == (1, True), err


def test_a_broken_file_is_named_and_not_touched(home, run):
    (home / ".cursor" / "mcp.json").write_text('{"mcpServers": {')
    code, _, err = run("connect", "cursor")
    assert (code, "Cursor cannot be connected" in err) == (1, True), err
    assert (home / ".cursor" / "mcp.json").read_text() == '{"mcpServers": {'


def test_a_project_in_the_working_directory_is_not_imported(home, run, tmp_path):
    (tmp_path / ".mcp.json").write_text(json.dumps({"mcpServers": {"evil": {"command": "evil"}}}))
    (tmp_path / ".env").write_text("SERVER_CONFIG_PATH=./evil.json\n")
    assert run("init", "--yes", "--no-try")[0] == 0
    written = (home / ".config" / "mcp-orchestration-gateway" / "server_config.json").read_text()
    assert [server["name"] for server in json.loads(written)["servers"]] == ["mail", "notes"]
    assert not (tmp_path / "evil.json").exists()


def test_what_files_say_is_shown_escaped(home, run):
    name = "a\x1b]0;mine\x07\u202e"
    document = {
        "mcpServers": {name: {"command": f"x{name}", "args": [name], name: 1}, f"off{name}": {"disabled": True}}
    }
    (home / ".cursor" / "mcp.json").write_text(json.dumps(document))
    for arguments in (("init", "--dry-run"), ("init", "--dry-run", "--json"), ("import", "cursor", "--no-try")):
        _, out, err = run(*arguments)
        assert "off" in out
        assert not {"\x1b", "\x07", "\u202e"} & set(out + err)


def test_a_file_that_cannot_be_read_is_told_below_the_table(home, run):
    zed = home / ".config" / "zed" / "settings.json"
    zed.parent.mkdir(parents=True, exist_ok=True)
    zed.write_text('{"context_servers": {"a": {"command" "b"}}}', encoding="utf-8")
    _, out, _ = run("init", "--dry-run")
    lines = out.splitlines()
    (row,) = (line for line in lines if line.split()[1:2] == ["Zed"])
    assert row.endswith("  cannot be used")
    reason = "line 1, column 38: a colon is missing before this (the file is not JSON)"
    assert f"~/.config/zed/settings.json cannot be used: {reason}" in lines


@pytest.mark.parametrize(
    "own, projects, said",
    [
        (2, 1, "2 servers, 1 more for single projects stays there"),
        (1, 2, "1 server, 2 more for single projects stay there"),
        (0, 1, "0 servers, 1 for single projects stays there"),
        (1, 0, "1 server"),
    ],
)
def test_servers_of_single_projects_are_counted_besides(home, run, own, projects, said):
    def name(count):
        return {f"s{number}": {"command": "true"} for number in range(count)}

    held = {"mcpServers": name(own), "projects": {"/x": {"mcpServers": name(projects)}}}
    (home / ".claude.json").write_text(json.dumps(held), encoding="utf-8")
    _, out, _ = run("init", "--dry-run")
    (row,) = (line for line in out.splitlines() if "  Claude Code  " in line)
    assert row.endswith(f"  {said}")
