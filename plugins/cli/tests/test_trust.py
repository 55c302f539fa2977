"""`trust` on the command line."""

from __future__ import annotations

import json

import pytest
from mcp_gateway_cli.all_commands import BUILT_IN
from mcp_gateway_cli.commands.working_directory import READING, STARTING, STARTING_BY_OPTION

from core.tests.config.test_trust import SERVERS, file
from mcp_gateway.config.sources import open_trust_store
from mcp_gateway.config.trust import Trust, TrustStore
from mcp_gateway.plugin import ConfigError

__all__ = ["file"]


def test_the_command_trusts_lists_and_takes_back(run, file):
    code, out, _ = run("trust")
    assert (code, out.splitlines()[0]) == (0, f"trusted as it is now: {file} (servers: a)")
    assert "when it is restarted" in out
    assert open_trust_store().judge(file) is Trust.TRUSTED
    assert run("trust", "--list") == (0, f"{file}: trusted\n", "")
    file.write_text(f"{SERVERS}\n", encoding="utf-8")
    assert run("trust", "--list") == (0, f"{file}: has changed since it was trusted\n", "")
    file.unlink()
    assert run("trust", "--list") == (0, f"{file}: is gone\n", "")
    assert run("trust", "--remove", str(file.parent)) == (0, f"no longer trusted: {file}\n", "")
    assert run("trust", "--list") == (0, "nothing is trusted\n", "")


def test_programs_read_what_is_trusted(run, file):
    def ask(*words):
        code, out, err = run("trust", *words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    assert ask("--list") == {"files": []}
    assert ask() == {"trusted": str(file), "servers": ["a"]}
    assert ask("--list") == {"files": [{"file": str(file), "state": "trusted"}]}
    file.write_text(f"{SERVERS}\n", encoding="utf-8")
    assert ask("--list") == {"files": [{"file": str(file), "state": "changed"}]}
    assert ask("--remove") == {"removed": str(file)}


def test_the_command_says_what_it_cannot_do(run, file, monkeypatch):
    code, _, err = run("trust", "--remove")
    assert (code, "was not trusted; trust --list shows what is" in err) == (1, True)
    code, _, err = run("--config", "x.json", "trust")
    assert (code, "a file that --config names needs no trust" in err) == (1, True)
    file.write_text("{", encoding="utf-8")
    code, _, err = run("trust")
    assert (code, "server_config.json: line 1" in err) == (1, True)
    file.unlink()
    code, _, err = run("trust")
    assert (code, "server_config.json: there is no such file" in err) == (1, True)


def test_the_command_takes_nothing_from_the_folder_that_it_is_about(run, file):
    (file.parent / ".env").write_bytes(b"XDG_STATE_HOME=x\nA=\xff")
    assert run("trust")[0] == 0


ADD = ("add", "b", "--no-try", "--", "true")
KEPT = {"add": [ADD], "remove": [ADD, ("remove", "a")], "disable": [("disable", "a")]}


@pytest.mark.parametrize("verbs", KEPT.values(), ids=KEPT)
def test_a_trusted_file_stays_trusted_by_what_is_written_into_it(run, file, verbs):
    run("trust")
    for words in verbs:
        assert run(*words)[0] == 0
    assert open_trust_store().judge(file) is Trust.TRUSTED


@pytest.mark.parametrize("verbs", KEPT.values(), ids=KEPT)
def test_what_is_written_into_an_untrusted_file_trusts_nothing(run, file, verbs):
    for words in verbs:
        assert run(*words)[0] == 0
    assert open_trust_store().judge(file) is Trust.UNKNOWN
    run("trust")
    file.write_text(f"{SERVERS}\n", encoding="utf-8")
    for words in verbs:
        assert run(*words)[0] == 0
    assert open_trust_store().judge(file) is Trust.CHANGED


@pytest.mark.parametrize("words", [ADD, ("import", "other.json", "--no-try")], ids=["add", "import"])
def test_a_new_file_of_the_working_directory_is_trusted_by_its_writer(run, file, words):
    file.rename(file.with_name("other.json"))
    assert run("--config", file.name, *words)[0] == 0
    assert open_trust_store().judge(file) is Trust.TRUSTED


@pytest.mark.parametrize("place", ["elsewhere/server_config.json", "named.json"])
def test_a_new_file_that_needs_no_trust_gets_none(run, file, place):
    assert run("--config", str(file.parent / place), *ADD)[0] == 0
    assert open_trust_store().list_files() == []


def test_the_users_own_file_gets_no_trust_in_its_own_folder(run, file, monkeypatch):
    folder = file.parent / "config" / "mcp-orchestration-gateway"
    folder.mkdir(parents=True)
    file.rename(folder / file.name)
    monkeypatch.chdir(folder)
    run("trust")
    assert run(*ADD)[0] == 0
    assert open_trust_store().judge(folder / file.name) is Trust.CHANGED


def test_what_undo_puts_back_is_not_trusted_for_what_came_later(run, file):
    run("disable", "a")
    run("trust")
    run("undo")
    assert '"enabled"' not in file.read_text(encoding="utf-8")
    assert open_trust_store().judge(file) is Trust.CHANGED


def test_a_state_folder_that_cannot_be_written_stops_no_editing(run, file, tmp_path, monkeypatch):
    run("trust")

    def refuse(*_):
        raise ConfigError("it cannot be written")

    monkeypatch.setattr(TrustStore, "add", refuse)
    assert run(*ADD)[0] == 0
    assert open_trust_store().judge(file) is Trust.CHANGED


READS_NOTHING = {
    *("completion", "connect", "disconnect", "help", "import", "init", "logs"),
    *("plugins", "schema", "status", "trust", "undo", "version"),
}


def test_each_verb_is_known_to_start_servers_or_not():
    assert STARTING | STARTING_BY_OPTION.keys() | READING | READS_NOTHING == BUILT_IN.keys()
    assert not STARTING & READING
    assert not (STARTING | READING) & READS_NOTHING
