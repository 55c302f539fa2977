"""`undo`: what it lists, which changes it takes, what it asks, and what it says of each file."""

from __future__ import annotations

import json

import pytest

CURSOR = {"mcpServers": {"mail": {"command": "mail"}, "notes": {"command": "notes"}}}
OWN = "~/.config/mcp-orchestration-gateway/server_config.json"


@pytest.fixture
def home(make_home):
    """Return a home folder in which Cursor has servers."""
    return make_home({".cursor/mcp.json": json.dumps(CURSOR)})


@pytest.fixture
def answer(monkeypatch):
    """Let a person be there, who answers so; return the questions."""
    asked: list[str] = []

    def answer_with(word):
        module = "mcp_gateway_cli.commands.clients"
        monkeypatch.setattr(f"{module}.undo.is_interactive", lambda: True)
        monkeypatch.setattr(f"{module}.prompts.prompt", lambda question, _: asked.append(question) or word)
        return asked

    return answer_with


def read_all(home):
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def change(run, home):
    """Change files by four commands, one of them for another file of servers."""
    for words in (
        ("init", "--yes", "--no-try"),
        ("add", "one", "--no-try", "--", "one"),
        ("add", "two", "--no-try", "--config", str(home / "other.json"), "--", "two"),
        ("connect", "kiro"),
    ):
        assert run(*words)[0] == 0


def list_commands(run, *options):
    """Return the rows of the list, without their times."""
    return [line.partition(" UTC  ")[2] for line in run("undo", "--list", *options)[1].splitlines()]


def test_a_command_is_one_row_with_all_that_it_was_about(home, run):
    change(run, home)
    assert list_commands(run) == [
        "connect kiro      ~/.kiro/settings/mcp.json",
        "add two           ~/other.json",
        f"add one           {OWN}",
        f"init mail, notes  {OWN}, ~/.cursor/mcp.json",
    ]
    assert run("disable", "one")[0] == 0
    assert run("remove", "one")[0] == 0
    assert run("disconnect", "kiro")[0] == 0
    assert run("import", "cursor", "--no-try")[0] == 0
    assert [row.split("  ")[0] for row in list_commands(run)][:3] == ["disconnect kiro", "remove one", "disable one"]


def test_many_names_are_cut_short_for_people_only(home, run):
    servers = {f"s{number}": {"command": f"c{number}"} for number in range(10)}
    (home / ".cursor" / "mcp.json").write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    assert run("import", "cursor", "--no-try")[0] == 0
    assert list_commands(run) == [f"import s0, s1, s2, s3, s4, s5, s6, s7, 2 more  {OWN}"]
    (listed,) = json.loads(run("undo", "--list", "--json")[1])["changes"]
    assert listed["targets"] == list(servers)
    assert listed["config"] == listed["files"][0]


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_named_file_limits_what_is_listed_and_undone(home, run, monkeypatch, way):
    change(run, home)
    other = home / "other.json"
    option = ("--config", str(other)) if way == "option" else ()
    with monkeypatch.context() as patch:
        if way == "variable":
            patch.setenv("SERVER_CONFIG_PATH", str(other))
        assert list_commands(run, *option) == ["add two  ~/other.json"]
        before = read_all(home)
        code, out, _ = run("undo", "--all", "--yes", *option)
        assert (code, out.splitlines()) == (0, ["add two:", "  ~/other.json is removed again", "1 file removed again"])
        gone = before.keys() - read_all(home).keys()
        assert {path for path in gone if path.suffix == ".json" and path.parent == home} == {other}
        nothing = "there is nothing to undo for ~/other.json; 3 changes made for other files can be undone\n"
        assert run("undo", *option) == (0, nothing, "")
        assert run("undo", "--list", *option) == (0, nothing, "")
    assert len(list_commands(run)) == 3


def test_the_users_own_file_has_what_was_written_into_programs_for_it(home, run):
    change(run, home)
    own = str(home / ".config" / "mcp-orchestration-gateway" / "server_config.json")
    assert [row.split("  ")[0] for row in list_commands(run, "--config", own)] == [
        "connect kiro",
        "add one",
        "init mail, notes",
    ]


def test_without_a_name_the_last_command_is_undone_whatever_it_was_for(home, run):
    change(run, home)
    for command, file in (("connect kiro", "~/.kiro/settings/mcp.json"), ("add two", "~/other.json")):
        assert run("undo")[1].splitlines()[:2] == [f"{command}:", f"  {file} is removed again"]


@pytest.mark.parametrize("word", ["", "n", "no"])
def test_to_undo_all_is_asked_and_enter_means_no(home, run, answer, word):
    change(run, home)
    before, asked = read_all(home), answer(word)
    code, out, err = run("undo", "--all")
    assert (code, err, read_all(home)) == (0, "nothing was put back\n", before)
    assert len(out.splitlines()) == 4
    made = f"{OWN}, ~/other.json, ~/.kiro/settings/mcp.json"
    assert asked == [f"put 1 file back as before, and remove {made}, which were not there? [y/N] "]


def test_to_undo_all_is_done_if_somebody_says_yes(home, run, answer):
    before = read_all(home)
    change(run, home)
    answer("y")
    code, out, _ = run("undo", "--all")
    assert (code, out.splitlines()[-1]) == (0, "1 file put back, 3 removed again")
    state = home.parent / "state"
    assert {path: text for path, text in read_all(home).items() if not path.is_relative_to(state)} == before
    assert run("undo", "--all") == (0, "there is nothing to undo\n", "")


def test_the_end_of_input_is_no_answer(home, run, answer):
    change(run, home)
    before = read_all(home)
    answer(None)
    code, _, err = run("undo", "--all")
    assert (code, err, read_all(home)) == (2, "\nnothing was put back\n", before)


@pytest.mark.parametrize("is_json", [False, True])
def test_where_nobody_can_be_asked_all_needs_a_yes(home, run, is_json):
    change(run, home)
    before = read_all(home)
    code, out, err = run("undo", "--all", *(("--json",) if is_json else ()))
    told = "nobody can be asked here: mcp-orchestration-gateway undo --all --yes puts these back"
    assert (code, read_all(home)) == (2, before)
    if is_json:
        failure = json.loads(out)
        assert (failure["error_code"], failure["error"].startswith(told), err) == ("usage", True, "")
    else:
        assert (len(out.splitlines()), err.startswith(f"mcp-orchestration-gateway: {told}")) == (4, True)
    code, out, _ = run("undo", "--all", "--yes", "--json")
    assert (code, len(json.loads(out)["restored"]), json.loads(out)["left"]) == (0, 5, 0)


def test_what_became_of_a_file_is_said_as_it_was(home, run):
    cursor = home / ".cursor" / "mcp.json"
    before = cursor.read_bytes()
    assert run("connect", "cursor")[0] == 0
    changed = cursor.read_bytes().replace(b'"mail"', b'"post"')
    cursor.write_bytes(before)
    assert run("undo")[1].splitlines() == [
        "connect cursor:",
        "  ~/.cursor/mcp.json is as before already",
        "1 file as before already",
    ]
    assert run("connect", "cursor")[0] == 0
    cursor.write_bytes(changed)
    assert run("undo", "--merge")[1].splitlines()[1:] == [
        "  ~/.cursor/mcp.json is rid of the gateway, its servers put back",
        "1 file rid of the gateway, its servers put back",
    ]
    assert run("connect", "kiro")[0] == 0
    kiro = home / ".kiro" / "settings" / "mcp.json"
    kiro.write_bytes(kiro.read_bytes() + b"\n")
    code, out, err = run("undo")
    assert (code, out, f"{kiro}: it has been changed since" in err) == (1, "nothing was put back\n", True)
    assert run("undo", "--force")[1].splitlines()[1:] == [
        "  ~/.kiro/settings/mcp.json is removed again",
        "1 file removed again",
    ]


CHANGED = {
    "a program's file": (".cursor/mcp.json", lambda text: text + b"\n"),
    "a program's file that is gone": (".cursor/mcp.json", None),
    "the gateway's own file": (".config/mcp-orchestration-gateway/server_config.json", lambda text: text + b"\n"),
    "a program's file that became broken": (".cursor/mcp.json", lambda _: b"{"),
}
TO_TYPE = {
    "a program's file": ["--merge", "--force"],
    "a program's file that is gone": ["--force"],
    "the gateway's own file": ["--force"],
    "a program's file that became broken": ["--merge", "--force"],
}


@pytest.fixture
def tree(home):
    """Return all files but the journal, with their rights."""

    def read():
        return {path: (path.read_bytes(), path.stat().st_mode & 0o777) for path in home.rglob("*") if path.is_file()}

    return read


@pytest.mark.parametrize("kind", CHANGED)
def test_a_run_is_undone_as_a_whole_or_not_at_all(home, run, tree, kind):
    zed = home / ".config" / "zed" / "settings.json"
    zed.parent.mkdir(parents=True)
    zed.write_text('{"context_servers": {"notes": {"command": "notes"}}}', encoding="utf-8")
    before = tree()
    assert run("init", "--yes", "--no-try")[0] == 0
    place, rewrite = CHANGED[kind]
    path = home / place
    if rewrite is None:
        path.unlink()
    else:
        path.write_bytes(rewrite(path.read_bytes()))
    changed = tree()
    for options in ((), ("--all", "--yes")):
        code, out, err = run("undo", *options)
        assert (code, out, tree()) == (1, "nothing was put back\n", changed)
        assert f"{path}: it has been " in err
        assert "nothing of this init was undone" in err
        assert [word for word in ("--merge", "--force") if f"mcp-orchestration-gateway undo {word}" in err] == TO_TYPE[
            kind
        ]
    assert json.loads(run("undo", "--json")[1])["restored"] == []
    assert list_commands(run)[0].startswith("init ")
    assert run("undo", "--force")[0] == 0
    assert tree() == before


@pytest.mark.parametrize("kind", ["a program's file that is gone", "a program's file that became broken"])
def test_a_merge_that_is_not_possible_undoes_nothing(home, run, tree, kind):
    assert run("init", "--yes", "--no-try")[0] == 0
    place, rewrite = CHANGED[kind]
    (home / place).unlink() if rewrite is None else (home / place).write_bytes(rewrite(b""))
    changed = tree()
    code, out, err = run("undo", "--merge")
    assert (code, out, tree(), str(home / place) in err) == (1, "nothing was put back\n", changed, True)


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o664])
def test_a_file_that_is_gone_comes_back_with_its_rights(home, run, mode):
    cursor = home / ".cursor" / "mcp.json"
    cursor.chmod(mode)
    assert run("connect", "cursor")[0] == 0
    cursor.unlink()
    assert run("undo", "--force")[0] == 0
    assert (json.loads(cursor.read_bytes()), cursor.stat().st_mode & 0o777) == (CURSOR, mode)


def test_older_runs_of_a_kept_file_stay_and_those_of_others_go(home, run):
    change(run, home)
    own = home / ".config" / "mcp-orchestration-gateway" / "server_config.json"
    own.write_bytes(own.read_bytes() + b"\n")
    code, out, err = run("undo", "--all", "--yes")
    assert (code, out.splitlines()[-1], err.count("has been changed since")) == (1, "2 files removed again", 1)
    assert [row.split("  ")[0] for row in list_commands(run)] == ["add one", "init mail, notes"]
