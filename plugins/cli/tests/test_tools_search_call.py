"""`tools`, `search` and `call` on the command line: what a model would do."""

from __future__ import annotations

import io
import json
import re

import pytest

from core.tests.support.fake_plugins import WordIndex
from core.tests.support.fake_servers import SlowServer, text, tool
from mcp_gateway.plugin import Hit, Hits, Match


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


@pytest.mark.parametrize(
    "words, shown",
    [
        ("", ["alpha", "beta"]),
        ("beta", ["beta"]),
        ("--server beta", ["beta"]),
        ("beta alpha", ["beta", "alpha"]),
        ("beta --server alpha --server beta", ["beta", "alpha"]),
    ],
)
def test_a_word_after_tools_is_a_server(run, servers, remote, words, shown):
    servers({"name": "alpha", "transport": "memory"}, {"name": "beta", "transport": "memory"})
    code, out, err = run("tools", *words.split())
    assert (code, [line.split()[0] for line in out.splitlines() if not line.startswith(" ")], err) == (0, shown, "")


def test_a_word_after_tools_that_is_no_server_leads_to_the_search(run, alpha):
    code, out, err = run("tools", "date")
    assert (code, out) == (1, "")
    advice = "to find tools by words: mcp-orchestration-gateway search WORDS"
    assert err == f"mcp-orchestration-gateway: no server is called 'date'; servers: alpha; {advice}\n"


def test_a_server_that_cannot_be_asked_is_an_error(run, alpha):
    code, _, err = run("tools", "--server", "alhpa")
    assert code == 1
    assert "did you mean 'alpha'?" in err
    alpha.refusal = OSError("no route")
    code, _, err = run("tools", "--server", "alpha")
    assert code == 1
    assert "server 'alpha' is not available: OSError: no route" in err


def test_the_state_of_every_server_is_shown_with_reason_and_time(run, servers, remote):
    servers(
        {"name": "alpha", "transport": "memory"},
        {"name": "beta", "transport": "memory", "auth_type": "forward"},
        {"name": "off", "transport": "memory", "enabled": False},
    )
    remote.carries_credentials = True
    found = json.loads(run("servers", "--start", "--json")[1])["servers"]
    assert [(item["name"], item["state"], item["tools"]) for item in found] == [
        ("alpha", "ready", 1),
        ("beta", "needs login", 0),
        ("off", "disabled", 0),
    ]
    code, out, _ = run("servers", "--start")
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == ["alpha", "beta", "off", "1"]
    assert out.splitlines()[-1] == "1 of 2 servers work, 1 switched off"
    assert "it wants the caller's own Authorization header" in out
    assert '"enabled" is false' in out
    servers({"name": "alpha", "transport": "memory"}, {"name": "off", "transport": "memory", "enabled": False})
    assert run("servers", "--start")[0] == 0


class TestStart:
    """A server that is still starting: `servers` shows how far it is, `tools` waits for it."""

    @pytest.fixture
    def remote(self):
        slow = SlowServer(tool("echo", "Say it back"))
        slow.line = "Downloading 40%"
        return slow

    def test_the_state_of_a_server_that_starts_is_its_last_line(self, run, servers, monkeypatch):
        monkeypatch.setattr("mcp_gateway_cli.commands.gateway.servers.LOOK_SECONDS", 0.1)
        servers({"name": "alpha", "transport": "memory"})
        code, out, _ = run("servers", "--start")
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

        monkeypatch.setattr("mcp_gateway_cli.commands.catalog.tools.complain", complain)
        servers({"name": "alpha", "transport": "memory"})
        code, out, _ = run("tools")
        assert (code, out.splitlines()[0]) == (0, "alpha (1 tools)")
        assert complained[0].startswith("server 'alpha' is starting: Downloading 40%; it has had ")


def test_a_check_that_connects_says_of_each_server_who_it_is_and_what_it_has(run, alpha):
    code, out, _ = run("check", "--connect")
    assert code == 0
    first, usable, last = out.splitlines()
    assert usable == "1 of 1 servers work"
    assert re.fullmatch(r"alpha: remote 1, 2026-07-28, 1 tool, \d+\.\d s", first)
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
        "0 of 2 servers work",
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
    (server,) = json.loads(run("servers", "--start", "--json")[1])["servers"]
    assert (server["tools"], server["left_out"]) == (2, [why.removeprefix("its ")])
    assert run("servers", "--start")[1].splitlines()[1:] == [f"alpha: {why}", "1 of 1 servers work"]


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
    assert re.sub(r"\d+ tokens", "N tokens", out).splitlines() == [
        "  alpha__echo()",
        "      Say it back",
        "      score 2.25",
        "        +2.50  say                      name, description",
        "        -0.25  back",
        "1 of 1 matching tools (bm25); best match: strong; a model reads about N tokens",
    ]


def test_a_search_that_finds_nothing_says_so(run, alpha):
    code, out, _ = run("search", "ecko")
    assert code == 0
    assert out.splitlines()[0] == "no tool matches (bm25)"
    assert "note: nothing matches; try other words; tools with such a name: alpha__echo" in out


def test_a_call_prints_the_tools_own_answer(run, alpha):
    alpha.answers["echo"] = text("hello")
    assert run("call", "alpha__echo", '{"say": 1}') == (0, "hello\n", "")
    assert alpha.calls[-1]["arguments"] == {"say": 1}


@pytest.mark.parametrize(
    "arguments, expected, said",
    [
        (("alpha__nothing",), 1, "server 'alpha' has no tool 'nothing'"),
        (("echo",), 1, "did you mean 'alpha__echo'?"),
        (("alpha", "echo"), 2, "(did you mean: mcp-orchestration-gateway call alpha__echo)"),
        (("alpha", "echo", "text=a b"), 2, "(did you mean: mcp-orchestration-gateway call alpha__echo 'text=a b')"),
        (("alpha", "echo", "say"), 2, "(did you mean: mcp-orchestration-gateway call alpha__echo say)"),
        (("alpha__echo", "say"), 2, "(see mcp-orchestration-gateway describe alpha__echo)"),
        (("echo", "say"), 2, "(see mcp-orchestration-gateway describe echo)"),
        (("alpha", "text=x", "say"), 2, "(see mcp-orchestration-gateway describe alpha)"),
        (("alpha__echo", "{"), 2, "the arguments are not JSON"),
        (("alpha__echo", '{"text": "\\ud83d"}'), 2, "half of a pair"),
        (("alpha__echo", "[1]"), 2, "the arguments must be a JSON object"),
    ],
)
def test_a_call_that_fails_says_why(run, alpha, arguments, expected, said):
    code, out, err = run("call", *arguments)
    assert (code, out) == (expected, "")
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
    def burst(*_, **__):
        raise RuntimeError("plugin says \x1b]0;mine\x07")

    monkeypatch.setattr("mcp_gateway_cli.commands.catalog.call.show_result", burst)
    alpha.answers["echo"] = text("hello")
    code, _, err = run("call", "alpha__echo")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert "RuntimeError: plugin says \\x1b]0;mine\\x07" in err
    assert "\x1b" not in err


WEATHER = tool(
    "weather",
    "What the weather is\nand will be",
    title="Weather",
    inputSchema={
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "where", "examples": ["New York"]},
            "days": {"type": "integer", "default": 3},
            "as": {"$ref": "#/$defs/unit"},
        },
        "$defs": {
            "unit": {
                "type": "object",
                "properties": {"heat": {"enum": ["C", "F"]}, "wind": {"type": "string"}},
                "required": ["heat"],
            }
        },
        "required": ["city"],
    },
    outputSchema={"type": "object", "properties": {"degrees": {"type": "number"}}},
    annotations={"readOnlyHint": True, "openWorldHint": True},
)


@pytest.fixture
def weather(alpha):
    alpha.tools.append(WEATHER)
    return alpha


def test_a_tool_is_described_with_all_that_there_is(run, weather):
    code, out, _ = run("describe", "alpha__weather")
    assert code == 0
    assert re.sub(r"about \d+ tokens", "about N tokens", out).splitlines() == [
        "alpha__weather: Weather",
        "  of server alpha; read-only; open world: reaches the outside",
        "  about N tokens, what its definition costs a model that has it in its list",
        "",
        "What the weather is",
        "and will be",
        "",
        "arguments:",
        "city     string   required  where",
        "days     integer  = 3",
        "as       object",
        "as.heat  C | F    required",
        "as.wind  string",
        "",
        "result:",
        "degrees  number",
        "",
        "example:",
        "  mcp-orchestration-gateway call alpha__weather 'city=New York'",
    ]
    found = json.loads(run("describe", "alpha__weather", "--json")[1])
    assert (found["tool_name"], found["server"], found["title"]) == ("alpha__weather", "alpha", "Weather")
    assert (found["input_schema"], found["output_schema"]) == (WEATHER["inputSchema"], WEATHER["outputSchema"])
    assert (found["annotations"], found["description"]) == (WEATHER["annotations"], WEATHER["description"])
    assert found["tokens"] > 50


@pytest.mark.parametrize(
    "name, said", [("alpha__wether", "did you mean 'alpha__weather'?"), ("weather", "did you mean 'alpha__weather'?")]
)
def test_a_tool_that_is_not_there_is_not_described(run, weather, name, said):
    code, out, err = run("describe", name)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert said in err


def test_arguments_are_checked_before_the_tool_is_called(run, weather):
    code, _, err = run("call", "alpha__weather", "days=2")
    assert (code, weather.calls) == (2, [])
    assert err == (
        "mcp-orchestration-gateway: alpha__weather: 'city' is missing (string: where) "
        "(see mcp-orchestration-gateway describe alpha__weather; --no-check sends it all the same)\n"
    )
    assert run("call", "alpha__weather", "days=2", "--no-check")[0] == 0
    assert weather.calls[-1]["arguments"] == {"days": 2}
    for given in ("ciyt=Rome", '{"ciyt": "Rome"}'):
        code, _, err = run("call", "alpha__weather", given)
        assert (
            code,
            "'city' is missing (string: where); there is no argument 'ciyt'; did you mean 'city'?" in err,
        ) == (
            2,
            True,
        )
    code, _, err = run("call", "alpha__weather", "city=Rome", "dais=3")
    assert (code, weather.calls[-1]["arguments"]) == (0, {"city": "Rome", "dais": 3})
    assert err == "note: the tool's schema has no 'dais'; did you mean 'days'?\n"


def test_a_schema_that_cannot_be_used_is_said_and_the_tool_is_called(run, weather):
    endless = {"$ref": "#/$defs/x"}
    schema = {"type": "object", "properties": {"x": endless}, "$defs": {"x": endless}}
    weather.tools.append({"name": "odd", "inputSchema": schema})
    code, out, err = run("call", "alpha__odd", "x=y")
    assert (code, out) == (0, "done\n")
    assert "note: the arguments go unchecked" in err


def test_arguments_come_from_standard_input(run, weather, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"city": "Rome"}')))
    assert run("call", "alpha__weather", "-", "days=1")[0] == 0
    assert weather.calls[-1]["arguments"] == {"city": "Rome", "days": 1}


def test_an_image_is_saved_and_else_the_text(run, weather, tmp_path):
    weather.answers["weather"] = {"content": [{"type": "image", "data": "iVBO", "mimeType": "image/png"}]}
    call = ("call", "alpha__weather", "city=Rome")
    assert run(*call)[1] == "[image image/png, 3 bytes: --output FILE or FOLDER saves it]\n"
    target = tmp_path / "now.png"
    assert run(*call, "--output", str(target)) == (0, "", f"saved: {target}\n")
    assert target.read_bytes() == b"\x89PN"
    weather.answers["weather"] = text("sunny")
    assert run(*call, "-o", str(target)) == (0, "sunny\n", f"saved: {target}\n")
    assert target.read_text() == "sunny"
    calls = len(weather.calls)
    assert run(*call, "-o", str(tmp_path / "no" / "x"))[0] == 2
    assert len(weather.calls) == calls


def test_the_tokens_of_a_search_are_told(run, weather):
    code, out, _ = run("search", "say", "--json")
    assert code == 0
    found = json.loads(out)
    tokens = found.pop("tokens")
    assert tokens == -(-len(json.dumps(found, ensure_ascii=False)) // 4)
    assert f"a model reads about {tokens} tokens" in run("search", "say")[1]
