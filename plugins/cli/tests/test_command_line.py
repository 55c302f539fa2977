"""Where the verb is, and what is said of a line that is wrong."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from mcp_gateway_cli.all_commands import OTHER_WORDS, explain_unknown
from mcp_gateway_cli.command_line import read_command_line
from mcp_gateway_cli.parser import parse_arguments
from mcp_gateway_cli.verbs import VERBS

from mcp_gateway.control.commands import CORE_COMMANDS
from mcp_gateway.plugin import Argument, Command, UsageError
from mcp_gateway.protocol.implementation import NAME, VERSION

COMMANDS = {command.name: command for command in (*VERBS, *CORE_COMMANDS)}


@pytest.mark.parametrize(
    "words, verb, rest",
    [
        ("", "", ""),
        ("tools", "tools", ""),
        ("--config x.json tools", "tools", "--config x.json"),
        ("--config=x.json tools", "tools", "--config=x.json"),
        ("--json check", "check", "--json"),
        ("--server git tools --json", "tools", "--server git --json"),
        ("--transport http", "", "--transport http"),
        ("--help", "", "--help"),
        ("-- tools", "", "-- tools"),
        ("search tools", "search", "tools"),
    ],
)
def test_options_may_stand_before_the_verb(words, verb, rest):
    line = read_command_line(words.split(), COMMANDS.values())
    assert (line.verb, " ".join(line.arguments)) == (verb, rest)
    assert line.wants_help is (words == "--help")


@pytest.mark.parametrize(
    "words",
    ["call a__b {} --json", "call --json a__b {}", "call a__b --json {}", "--json call a__b {}"],
)
def test_options_may_stand_anywhere(words):
    line = read_command_line(words.split(), COMMANDS.values())
    options = parse_arguments(COMMANDS[line.verb], line.arguments)
    assert (options.tool, options.words, options.json) == ("a__b", ["{}"], True)


ADD = Command(
    name="add",
    summary="add",
    run="x:y",
    arguments=(
        Argument(names=("name",), help="n"),
        Argument(names=("rest",), help="r", takes_many=True),
        Argument(names=("-e", "--env"), help="e", takes_many=True),
    ),
)


@pytest.mark.parametrize(
    "words, name, rest, env",
    [
        ("x -- npx -y --env thing", "x", ["npx", "-y", "--env", "thing"], None),
        ("x -e A=1 --env B=2 -- npx -- more", "x", ["npx", "--", "more"], ["A=1", "B=2"]),
        ("x http://a", "x", ["http://a"], None),
        ("x a -e A=1 b", "x", ["a", "b"], ["A=1"]),
        ("x", "x", [], None),
    ],
)
def test_what_follows_two_hyphens_is_taken_as_it_is(words, name, rest, env):
    options = parse_arguments(ADD, words.split())
    assert (options.name, options.rest, options.env) == (name, rest, env)


@pytest.mark.parametrize(
    "words, message",
    [
        ("tols", "there is no command 'tols'; did you mean 'tools'?"),
        ("tools --sever x", "unknown option '--sever'; did you mean '--server'?"),
        ("tools --serverx=x", "unknown option '--serverx=x'; did you mean '--server'?"),
        (
            "add t mcp-server-time --local-timezone UTC",
            "'--local-timezone'; put -- before a command with its options (see",
        ),
        ("add t npx -y server", "'-y'; put -- before a command with its options (see"),
        ("add t x --forse", "'--forse'; did you mean '--force'?"),
        ("remove t --nope", "'--nope' (see"),
        ("check now", "'now' is one word too many: it takes options only"),
        ("approve a b c", "'c' is one word too many: it takes SERVER TOOL"),
        ("LS", "there is no command 'LS'; did you mean 'list'?"),
        ("help tols", "there is no command 'tols'; did you mean 'tools'?"),
        ("help rm", "there is no command 'rm'; did you mean 'remove'?"),
        ("help tools list", "'list' is one word too many: it takes COMMAND"),
        ("-v", "mcp-orchestration-gateway: unknown option '-v'; did you mean '--version'?"),
        ("--verison", "mcp-orchestration-gateway: unknown option '--verison'; did you mean '--version'?"),
        ("--nope", "mcp-orchestration-gateway: unknown option '--nope' (see mcp-orchestration-gateway --help)"),
        ("serve --nope", "mcp-orchestration-gateway: unknown option '--nope'"),
        ("--prot 3", "mcp-orchestration-gateway: unknown option '--prot'; did you mean '--port'?"),
        ("--nope 3", "mcp-orchestration-gateway: unknown option '--nope' (see mcp-orchestration-gateway --help)"),
        ("--config x.json tols", "there is no command 'tols'; did you mean 'tools'?"),
        ("--server x tols", "there is no command 'tols'; did you mean 'tools'?"),
        ("tols --nope", "there is no command 'tols'; did you mean 'tools'?"),
        ("-v tools", "mcp-orchestration-gateway: unknown option '-v' (see"),
        ("tools -?", "unknown option '-?'; did you mean '--help'?"),
        ("login x", "the plugin mcp-gateway-auth-oauth brings it, which is not here"),
        ("secret list", "the plugin mcp-gateway-variables-keyring brings it, which is not here"),
        ("search", "the following arguments are required: QUERY"),
        ("search x --max 0", "it must be a number, 1 or more"),
        ("completion basch", "invalid choice: 'basch'"),
        ("tools --config", "expected one argument"),
        ("zzz", "there is no command 'zzz' (see mcp-orchestration-gateway --help)"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(run, installed, words, message):
    code, out, err = run(*words.split())
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err
    assert "--help)" in err


@pytest.mark.parametrize("word, verb", OTHER_WORDS.items())
def test_words_of_other_programs_lead_to_verbs(word, verb):
    known = {*COMMANDS, "login"}
    assert word not in known
    assert verb in known
    assert f"did you mean {verb!r}?" in str(explain_unknown(word, known))


def test_a_verb_that_is_not_here_is_not_suggested():
    assert "did you mean" not in str(explain_unknown("auth", COMMANDS))


@pytest.mark.parametrize("words", [["help"], ["help", "call"], ["help", "serve"]], ids=" ".join)
def test_help_is_a_verb_too(run, installed, words):
    assert run(*words) == run(*words[1:], "--help")


def test_the_version_has_a_verb_and_two_options(run, installed):
    shown = (0, f"{NAME} {VERSION}\n", "")
    assert [run("version"), run("--version"), run("-V")] == [shown] * 3
    assert json.loads(run("version", "--json")[1]) == {
        "name": NAME,
        "version": VERSION,
        "python": platform.python_version(),
    }


def test_help_has_examples_and_an_exit_code_of_none(run):
    for verb in COMMANDS:
        code, out, err = run(verb, "--help")
        assert (code, err) == (0, "")
        assert f"examples:\n  mcp-orchestration-gateway {verb}" in out
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"\n  {verb} " in out for verb in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_every_example_can_be_parsed(command):
    import shlex

    for example in command.examples:
        verb, *arguments = shlex.split(example.partition(" >")[0])
        assert verb == command.name
        try:
            parse_arguments(command, arguments)
        except UsageError as error:  # pragma: no cover
            pytest.fail(str(error))


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGPIPE")
@pytest.mark.parametrize(
    "words", [["list"], ["schema"], ["schema", "--nope"], ["list", "--config", "gone.json"], ["help"]], ids=" ".join
)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_command_that_nobody_reads_ends_as_others_do(tmp_path, words, unbuffered):
    (tmp_path / "server_config.json").write_text('{"servers": [{"name": "a", "command": "x"}]}', encoding="utf-8")
    reader, writer = os.pipe()
    os.close(reader)
    told = tmp_path / "told"
    try:
        with told.open("wb") as errors:
            is_wrong = any(word in words for word in ("--nope", "gone.json"))
            done = subprocess.run(
                [sys.executable, "-c", "import mcp_gateway_cli.main as cli; raise SystemExit(cli.main())", *words],
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
                stdout=writer,
                stderr=writer if is_wrong else errors,
                check=False,
            )
    finally:
        os.close(writer)
    assert (done.returncode, told.read_text(encoding="utf-8")) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["check"], ["plugins"]], ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_output_to_a_full_disk_is_one_line_and_the_exit_code_1(tmp_path, words, unbuffered):
    (tmp_path / "server_config.json").write_text('{"servers": [{"name": "a", "command": "x"}]}', encoding="utf-8")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "import mcp_gateway_cli.main as cli; raise SystemExit(cli.main())", *words],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    said = "standard output cannot be written: the disk is full (No space left on device)"
    assert (done.returncode, done.stderr) == (1, f"mcp-orchestration-gateway: {said}\n")
