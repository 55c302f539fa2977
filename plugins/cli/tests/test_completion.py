"""What shells offer where a command line is being typed."""

from __future__ import annotations

import json
import shlex

import pytest
from argcomplete import CompletionFinder
from mcp_gateway_cli.all_commands import BUILT_IN
from mcp_gateway_cli.clients.programs import PROGRAMS
from mcp_gateway_cli.completion.answers import OPTIONS, build_completed_parser
from mcp_gateway_cli.completion.shells import SHELLS
from mcp_gateway_cli.completion.values import VALUES
from mcp_gateway_cli.plugin_verbs import KINDS

from core.tests.support.fake_servers import tool
from mcp_gateway.protocol.implementation import NAME

CLIENTS = {program.name for program in PROGRAMS}
FILES = {"server_config.json", "other.json", "folder/", "site-packages/"}


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """Return what may stand in place of a line's last word."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.json").write_text('{"servers": [{"name": "elsewhere", "command": "x"}]}', encoding="utf-8")

    def ask(line):
        *words, last = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
        finder = CompletionFinder(build_completed_parser(BUILT_IN.values()), **OPTIONS)
        found = finder._get_completions([NAME, *words], last, "", None)
        return {word.strip() for word in found}

    return ask


@pytest.fixture
def configured(servers, tmp_path, monkeypatch):
    servers(
        {"name": "alpha", "transport": "memory"},
        {"name": "beta", "transport": "memory"},
        {"name": "off", "transport": "memory", "enabled": False},
    )


CASES = [
    ("connect cu", {"cursor"}),
    ("connect ", CLIENTS),
    ("disconnect ", CLIENTS),
    ("import ", CLIENTS | FILES),
    ("remove ", {"alpha", "beta", "off"}),
    ("remove alpha ", set()),
    ("enable ", {"off"}),
    ("disable ", {"alpha", "beta"}),
    ("logs be", {"beta"}),
    ("list a", {"alpha"}),
    ("approve o", {"off"}),
    ("tools ", {"alpha", "beta", "off"}),
    ("tools alpha ", {"beta", "off"}),
    ("tools --server ", {"alpha", "beta", "off"}),
    ("tools --server=be", {"--server=beta"}),
    ("search word --server al", {"alpha"}),
    ("search ", set()),
    ("search x --ranker bm", {"bm25"}),
    ("serve --transport std", {"stdio"}),
    ("plugins ", {"list", "info", "new"}),
    ("plugins new ", {*KINDS}),
    ("plugins new ra", {"ranker"}),
    ("plugins new ranker ", set()),
    ("plugins info std", {"stdio"}),
    ("help un", {"undo"}),
    ("help ", {*BUILT_IN}),
    ("completion ", {*SHELLS}),
    ("init --secrets ", {"keep", "keyring"}),
    ("check ", set()),
    ("status --gateway ", set()),
    ("check --c", {"--config", "--connect"}),
    ("--config ", FILES),
    ("--config other.json remove ", {"elsewhere"}),
    ("remove --config other.json ", {"elsewhere"}),
    ("call t --output ./f", {"./folder/"}),
    ("trust f", {"folder/"}),
    ("add x -- ./", {f"./{name}" for name in FILES}),
    ("add ", set()),
    ("dis", {"disable", "disconnect"}),
]


@pytest.mark.parametrize("line, offered", CASES, ids=[line for line, _ in CASES])
def test_what_may_come_next_is_offered(complete, configured, line, offered):
    assert complete(line) == offered


@pytest.mark.parametrize("broken", ["{", '{"servers": 3}'])
def test_a_file_that_cannot_be_read_offers_nothing(complete, configured, tmp_path, broken, capfd):
    (tmp_path / "server_config.json").write_text(broken, encoding="utf-8")
    assert complete("remove ") == set()
    assert complete("call ") == set()
    assert capfd.readouterr() == ("", "")


def test_tools_are_those_that_were_once_seen(run, servers, complete, remote):
    remote.tools = [tool("echo"), tool("read"), tool("naïve")]
    servers({"name": "alpha", "transport": "memory"}, {"name": "beta", "transport": "memory", "namespace": None})
    assert complete("call ") == set()
    assert run("tools")[0] == 0
    names = {one["tool_name"] for one in json.loads(run("tools", "--json")[1])["tools"]}
    opened = len(remote.opened)
    assert complete("call ") == names
    assert complete("describe alpha__r") == {"alpha__read"}
    assert complete("call alpha__read ") == set()
    assert len(remote.opened) == opened


def test_an_argument_of_a_verb_completes_what_there_is():
    arguments = [argument for command in BUILT_IN.values() for argument in command.arguments]
    assert {argument.values for argument in arguments} - {""} <= {*VALUES}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_help_says_how_to_install_it_and_again(run, shell):
    line = next(line for line in run("completion", "--help")[1].splitlines() if f"{NAME} completion {shell} >" in line)
    assert line.strip().startswith("mkdir -p ")
    assert " > " in line
    assert ">>" not in line
