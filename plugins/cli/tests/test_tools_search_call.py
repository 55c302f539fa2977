"""`tools`, `search` and `call` on the command line: what a model would do."""

from __future__ import annotations

import json
import re

import pytest

from core.tests.support.fake_plugins import WordIndex
from core.tests.support.fake_servers import SlowServer, text, tool
from mcp_gateway.plugin import Hit, Hits, Match


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """Leave logging alone: it is set up once a process."""
    monkeypatch.setattr("mcp_gateway.runtime.logging.configure_logging", lambda _: None)


@pytest.fixture
def alpha(servers, remote):
    servers({"name": "alpha", "transport": "memory", "max_retries": 0})
    return remote


def test_the_tools_of_all_servers_are_listed(run, alpha):
    code, out, _ = run("tools")
    assert code == 0
    assert out.splitlines() == ["alpha (1 tools)", "  alpha__echo()", "      Say it back"]
    code, out, _ = run("tools", "--json", "--server", "alpha")
    assert json.loads(out)["tools"][0]["tool_name"] == "alpha__echo"


def test_a_server_that_cannot_be_asked_is_an_error(run, alpha):
    code, _, err = run("tools", "--server", "alhpa")
    assert code == 1
    assert "did you mean 'alpha'?" in err
    alpha.refusal = OSError("no route")
    code, _, err = run("tools")
    assert code == 1
    assert "server 'alpha' is not available: OSError: no route" in err


def test_the_state_of_every_server_is_shown_with_reason_and_time(run, servers, remote):
    servers(
        {"name": "alpha", "transport": "memory"},
        {"name": "beta", "transport": "memory", "auth_type": "forward"},
        {"name": "off", "transport": "memory", "enabled": False},
    )
    remote.carries_credentials = True
    found = json.loads(run("servers", "--json")[1])["servers"]
    assert [(item["name"], item["state"], item["tools"]) for item in found] == [
        ("alpha", "ready", 1),
        ("beta", "needs login", 0),
        ("off", "disabled", 0),
    ]
    code, out, _ = run("servers")
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == ["alpha", "beta", "off", "1"]
    assert out.splitlines()[-1] == "1 of 3 servers usable"
    assert "it wants the caller's own Authorization header" in out
    assert '"enabled" is false' in out
    servers({"name": "alpha", "transport": "memory"}, {"name": "off", "transport": "memory", "enabled": False})
    assert run("servers")[0] == 0


class TestStart:
    """A server that is still starting: `servers` shows how far it is, `tools` waits for it."""

    @pytest.fixture
    def remote(self):
        slow = SlowServer(tool("echo", "Say it back"))
        slow.line = "Downloading 40%"
        return slow

    def test_the_state_of_a_server_that_starts_is_its_last_line(self, run, servers, monkeypatch):
        monkeypatch.setattr("mcp_gateway_cli.commands.servers.LOOK_SECONDS", 0.1)
        servers({"name": "alpha", "transport": "memory"})
        code, out, _ = run("servers")
        assert (code, out.split()[:2], out.splitlines()[0].endswith("  Downloading 40%")) == (
            1,
            ["alpha", "starting"],
            True,
        )

    def test_the_tools_of_a_server_that_starts_are_waited_for(self, run, servers, remote, monkeypatch):
        monkeypatch.setattr("mcp_gateway.discovery.start_limit.START_SECONDS", 0.05)
        complained = []

        def complain(line):
            complained.append(line)
            remote.may_start.set()

        monkeypatch.setattr("mcp_gateway_cli.commands.tools.complain", complain)
        servers({"name": "alpha", "transport": "memory"})
        code, out, _ = run("tools")
        assert (code, out.splitlines()[0]) == (0, "alpha (1 tools)")
        assert complained[0].startswith("server 'alpha' is starting: Downloading 40%; it has had ")


def test_a_check_that_connects_says_of_each_server_who_it_is_and_what_it_has(run, alpha):
    code, out, _ = run("check", "--connect")
    assert code == 0
    first, usable, last = out.splitlines()
    assert usable == "1 of 1 servers usable"
    assert re.fullmatch(r"alpha: remote 1, 2026-07-28 \(modern\), 1 tool, \d+\.\d s", first)
    assert last == "all is well: 1 server: alpha"
    [trial] = json.loads(run("check", "--connect", "--json")[1])["trials"]
    assert (trial["server"], trial["ok"], trial["protocol"], trial["tools"]) == ("alpha", True, "2026-07-28", 1)


def test_a_check_that_connects_says_why_a_server_fails(run, servers, remote):
    remote.carries_credentials = True
    remote.refusal = OSError("no route")
    servers(
        {"name": "alpha", "transport": "memory"},
        {"name": "beta", "transport": "memory", "auth_type": "forward"},
        {"name": "off", "transport": "memory", "enabled": False},
    )
    code, out, _ = run("check", "--connect")
    assert code == 1
    assert [line.partition(" failed after ")[0] for line in out.splitlines()[:2]] == ["alpha:", "beta:"]
    assert out.splitlines()[2:] == [
        "wrong: server_config.json: server 'alpha' is not available: OSError: no route",
        "wrong: server_config.json: server 'beta': it wants the caller's own Authorization header",
        "switched off: off",
        "0 of 2 servers usable",
    ]


def test_a_definition_that_clients_would_refuse_is_named_and_not_counted(run, alpha):
    alpha.tools += [{"name": "odd", "inputSchema": "object"}, {"name": "mute", "inputSchema": None}]
    why = "its tool 'odd' is left out: its inputSchema is no object"
    found = json.loads(run("check", "--connect", "--json")[1])
    assert (found["ok"], found["trials"][0]["tools"]) == (True, 2)
    assert f"server 'alpha': {why}" in found["warnings"]
    assert f"warning: server 'alpha': {why}" in run("check", "--connect")[1]
    assert run("tools")[1].splitlines() == [
        "alpha (2 tools)",
        "  alpha__echo()",
        "      Say it back",
        "  alpha__mute()",
        "      ",
        f"note: {why}",
    ]
    (server,) = json.loads(run("servers", "--json")[1])["servers"]
    assert (server["tools"], server["left_out"]) == (2, [why.removeprefix("its ")])
    assert run("servers")[1].splitlines()[1:] == [f"alpha: {why}", "1 of 1 servers usable"]


def test_a_search_finds_what_a_model_would_find(run, alpha):
    code, out, _ = run("search", "say")
    assert code == 0
    assert "1 of 1 matching tools (bm25)" in out
    code, out, err = run("search", "say", "--ranker", "bm52")
    assert code == 1
    assert "did you mean 'bm25'?" in err


def test_a_search_is_explained_to_a_person(run, alpha, monkeypatch):
    async def explained(self, query):
        matches = (Match(term="say", fields=("name", "description"), score=2.5), Match(term="back", score=-0.25))
        return Hits(hits=(Hit(id="alpha__echo", score=2.25, matches=matches),), total=1, label="strong")

    monkeypatch.setattr(WordIndex, "search", explained)
    code, out, _ = run("search", "say", "--explain", "--server", "alpha")
    assert code == 0
    assert out.splitlines() == [
        "  alpha__echo()",
        "      Say it back",
        "      score 2.25",
        "        +2.50  say                      name, description",
        "        -0.25  back",
        "1 of 1 matching tools (bm25), the best fit is strong",
    ]


def test_a_search_that_finds_nothing_says_so(run, alpha):
    code, out, _ = run("search", "ecko")
    assert code == 0
    assert out.splitlines()[0] == "0 of 0 matching tools (bm25)"
    assert "note: nothing matches; try other words; tools with such a name: alpha__echo" in out


@pytest.mark.parametrize("command", [("search", "say"), ("tools",), ("servers",)], ids=" ".join)
def test_without_a_file_of_servers_the_error_names_the_missing_one(run, installed, monkeypatch, tmp_path, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SERVER_CONFIG_PATH", raising=False)
    code, out, err = run(*command)
    assert (code, "try other words" in out) == (0, False)
    assert err == (
        "warning: server_config.json: there is no such file, so there are no servers; write it, or set "
        "SERVER_CONFIG_PATH\n"
    )


def test_a_call_prints_the_tools_own_answer(run, alpha):
    alpha.answers["echo"] = text("hello")
    assert run("call", "alpha__echo", '{"say": 1}') == (0, "hello\n", "")
    assert alpha.calls[-1]["arguments"] == {"say": 1}


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("alpha__nothing",), "server 'alpha' has no tool 'nothing'"),
        (("echo",), "did you mean 'alpha__echo'?"),
        (("alpha__echo", "{"), "the arguments are not JSON"),
        (("alpha__echo", '{"text": "\\ud83d"}'), "half of a pair"),
        (("alpha__echo", "[1]"), "the arguments must be a JSON object"),
    ],
)
def test_a_call_that_fails_says_why(run, alpha, arguments, said):
    code, out, err = run("call", *arguments)
    assert (code, out) == (1, "")
    assert said in err
    assert "error_code" not in err


def test_what_a_server_says_does_not_command_the_terminal(run, alpha):
    alpha.answers["echo"] = text("\x1b]0;mine\x07hello\x9b2J\r\n\tthere")
    assert run("call", "alpha__echo")[1] == "\\x1b]0;mine\\x07hello\\x9b2J\n\tthere\n"


def test_in_json_it_is_what_it_was_and_commands_nothing_either(run, alpha):
    said = "\x1b[2J\x7f\x9b\u202e\u2028\U000e0041\ud800 é 👩\u200d💻"
    alpha.answers["echo"] = text(said)
    out = run("call", "alpha__echo", "--json")[1]
    # Half of a pair is no character: it is U+FFFD on every wire.
    assert json.loads(out)["content"][0]["text"] == said.replace("\ud800", "\ufffd")
    assert "\\u001b[2J\\u007f\\u009b\\u202e\\u2028\\udb40\\udc41\ufffd é" in out


def test_a_fault_of_the_gateway_is_shown_without_commands_too(run, alpha, monkeypatch):
    def burst(*_):
        raise RuntimeError("plugin says \x1b]0;mine\x07")

    monkeypatch.setattr("mcp_gateway_cli.commands.call._print_result", burst)
    alpha.answers["echo"] = text("hello")
    code, _, err = run("call", "alpha__echo")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert "RuntimeError: plugin says \\x1b]0;mine\\x07" in err
    assert "\x1b" not in err
