"""The command line does what a model would do, through the gateway."""

from __future__ import annotations

import json

import pytest

from .support.gateways import GATEWAY, WAIT_SECONDS, Launcher, free_port, is_alive, plain_entry, read_log, redis_server


def test_tools_lists_them_with_their_arguments(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("one"), plain_entry("two"))
    shown = launcher.run("tools", config=config)
    assert shown.returncode == 0, shown.stderr
    assert "one (8 tools)" in shown.stdout
    assert "one__odd(thing?, any?)" in shown.stdout
    only = json.loads(launcher.run("tools", "--server", "two", "--json", config=config).stdout)
    assert {tool["tool_name"].split("__")[0] for tool in only["tools"]} == {"two"}


def test_search_finds_with_any_ranker(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("one"), {"name": "gone", "command": "no-such-command-anywhere"})
    found = launcher.run("search", "return the arguments", config=config)
    assert found.returncode == 0
    assert "one__echo" in found.stdout
    assert "note: 1 server is down: gone; for the reasons: " in found.stdout
    answer = json.loads(launcher.run("search", "ec.o$", "--ranker", "regex", "--json", config=config).stdout)
    assert [tool["tool_name"] for tool in answer["tools"]] == ["one__echo"]
    wrong = launcher.run("search", "(", "--ranker", "regex", config=config)
    assert wrong.returncode == 1
    assert "not a regular expression" in wrong.stderr


def test_call_prints_the_result_and_tells_failure_by_its_exit_code(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("one"))
    slow = launcher.run("call", "one__slow", '{"seconds": 0.01}', config=config)
    assert (slow.returncode, slow.stdout) == (0, "slow done\n")
    echoed = json.loads(launcher.run("call", "one__echo", '{"n": 1.0}', "--json", config=config).stdout)
    assert echoed["structuredContent"]["arguments"] == {"n": 1.0}
    wrong = launcher.run("call", "one__nope", config=config)
    assert wrong.returncode == 1
    assert "no tool 'nope'" in wrong.stderr
    failed = launcher.run("call", "one__fail", config=config)
    assert (failed.returncode, "custom (the server's error -31999)" in failed.stderr) == (1, True)
    unreadable = launcher.run("call", "one__echo", "{n: 1}", config=config)
    assert "the arguments are not JSON" in unreadable.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_tools_say_is_printed_whatever_the_systems_encoding_is(launcher: Launcher, encoding: str) -> None:
    config = launcher.config(plain_entry("one"))
    said = json.dumps({"text": "→ é 🙂"})
    for more in ([], ["--json"]):
        shown = launcher.run("call", "one__echo", said, *more, config=config, PYTHONIOENCODING=encoding)
        assert shown.returncode == 0, shown.stderr
        assert "→ é 🙂" in shown.stdout
    assert json.loads(shown.stdout)["structuredContent"]["arguments"] == json.loads(said)


def test_arguments_are_read_from_standard_input(launcher: Launcher) -> None:
    command = [GATEWAY, "call", "one__echo", "-", "--json"]
    client = launcher.start(
        command, launcher.environment(launcher.config(plain_entry("one")), PYTHONIOENCODING="ascii")
    )
    shown, _ = client.popen.communicate('\ufeff{"text": "é"}', timeout=WAIT_SECONDS)
    assert json.loads(shown)["structuredContent"]["arguments"] == {"text": "é"}


def test_a_wrong_configuration_is_one_line_for_each_problem(launcher: Launcher) -> None:
    config = launcher.config(
        {"name": "a", "url": "ftp://S3CRET"},
        {"name": "b", "command": "x", "transprot": "stdio"},
        {"name": "c", "transport": "carrier-pigeon", "url": "http://h/"},
    )
    for arguments, code in (((), 0), (("search", "x"), 0), (("check",), 1)):
        result = launcher.run(*arguments, config=config)
        assert result.returncode == code  # without the servers that cannot be used it goes on
        told = result.stdout + result.stderr
        assert "not used: url: it must be a URL that begins with 'http' or 'https'" in told
        assert "not used: nobody reads the key 'transprot'; did you mean 'transport'?" in told
        assert "install a plugin that brings it" in told
        assert "S3CRET" not in told
        assert "Traceback" not in told


def test_a_check_starts_nothing_and_one_that_connects_tries_every_server(launcher: Launcher) -> None:
    log = launcher.folder / "log"
    config = launcher.config(plain_entry("one", log), {"name": "gone", "command": "no-such-command-anywhere"})
    checked = launcher.run("check", config=config)
    assert checked.returncode == 1
    assert "server 'gone': its command 'no-such-command-anywhere' is not found" in checked.stdout
    assert not read_log(log, "start")
    tried = launcher.run("check", "--connect", "--json", config=config)
    found = json.loads(tried.stdout)
    assert (tried.returncode, len(found["problems"])) == (1, 1)
    assert [(trial["server"], trial["ok"], trial["tools"]) for trial in found["trials"]] == [
        ("one", True, 8),
        ("gone", False, 0),
    ]
    assert not is_alive(read_log(log, "start")[0])


def test_a_check_says_whether_redis_answers(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("one"))
    away = launcher.run("check", config=config, STORAGE_BACKEND="redis", REDIS_URL="redis://:S3CRET@127.0.0.1:1/0")
    assert away.returncode == 1
    assert "wrong: environment: STORAGE_BACKEND=redis: " in away.stdout
    assert "S3CRET" not in away.stdout + away.stderr
    port = free_port()
    with redis_server(launcher.folder, port):
        there = {"STORAGE_BACKEND": "redis", "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
        assert launcher.run("check", config=config, **there).returncode == 0


def test_an_unset_variable_disables_one_server_with_a_named_reason(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("good"), plain_entry("bad", env={"KEY": "${NOT_SET_ANYWHERE}"}))
    checked = launcher.run("check", config=config)
    assert checked.returncode == 1
    assert "server 'bad' is not used: the environment variable NOT_SET_ANYWHERE is not set" in checked.stdout
    found = launcher.run("search", "echo", config=config)
    assert "good__echo" in found.stdout
    assert "note: bad: not used: the environment variable NOT_SET_ANYWHERE is not set" in found.stdout
    called = launcher.run("call", "bad__echo", config=config)
    assert "server 'bad' is not used: the environment variable NOT_SET_ANYWHERE is not set" in called.stderr


def test_a_dot_env_file_is_read(launcher: Launcher) -> None:
    (launcher.folder / ".env").write_text("FROM_FILE=1\nGATEWAY_RANKER=regex\n", encoding="utf-8")
    config = launcher.config(plain_entry("plain", env={"KEY": "${env:FROM_FILE}"}))
    answer = json.loads(launcher.run("search", "echo", "--json", config=config).stdout)
    assert answer["search_type"] == "regex"
    assert answer["tools"][0]["tool_name"] == "plain__echo"


def test_the_files_of_other_clients_are_read_as_they_are(launcher: Launcher) -> None:
    entry = plain_entry("ignored")
    mapping = {"My Server!": {"command": entry["command"], "args": entry["args"], "alwaysAllow": ["x"]}}
    for text in (
        json.dumps({"mcpServers": mapping, "globalShortcut": ""}),
        '// comment\n{"inputs": [], "servers": ' + json.dumps(mapping)[:-1] + ",},}",
    ):
        path = launcher.folder / "client.json"
        path.write_text(text, encoding="utf-8")
        found = launcher.run("search", "echo", "--json", config=path)
        assert json.loads(found.stdout)["tools"][0]["tool_name"] == "My-Server__echo", found.stderr
