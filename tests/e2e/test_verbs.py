"""Every verb, in a real pseudo-terminal and piped."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pexpect
import pytest
from mcp_gateway_cli.main import main
from mcp_gateway_cli.verbs import VERBS

from mcp_gateway.config.settings import plugin_choice
from mcp_gateway.control.commands import collect_commands
from mcp_gateway.plugin_host.loader import load_plugins

from .support.gateways import GATEWAY, Launcher, Process, free_port, plain_entry, until
from .support.terminal_session import Home

CALL = ("call", "one__echo", '{"text": "hello"}')


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    (folder / "servers.json").write_text(json.dumps({"servers": [plain_entry("one")]}), encoding="utf-8")
    return Home(folder, {"SERVER_CONFIG_PATH": str(folder / "servers.json")})


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with two servers that ask questions, one of each era."""
    folder = tmp_path_factory.mktemp("asking")
    entries = [plain_entry(era, None, "--full", "--era", era) for era in ("handshake", "modern")]
    (folder / "servers.json").write_text(json.dumps({"servers": entries}), encoding="utf-8")
    return Home(folder, {"SERVER_CONFIG_PATH": str(folder / "servers.json")})


SHOWN = [
    (("check",), 0, "all is well: 1 server: one"),
    (("check", "--connect"), 0, "1 of 1 servers work"),
    (("doctor",), 0, "all is well"),
    (("servers", "--start"), 0, "1 of 1 servers work"),
    (("tools",), 0, "one__echo("),
    (("search", "return the arguments"), 0, "one__echo("),
    (("describe", "one__echo"), 0, "Returns its arguments"),
    (CALL, 0, "hello"),
    (("call", "one__echo", "text=hello"), 0, "hello"),
    (("pins",), 0, "one: "),
    (("approve", "one"), 1, "nothing of server 'one' waits for approval"),
    (("plugins",), 0, "transport-stdio"),
    (("plugins", "info", "bm25"), 0, "GATEWAY_BM25_ALIASES"),
    (("trust", "--list"), 0, "nothing is trusted"),
    (("schema",), 0, '"$defs"'),
    (("completion", "bash"), 0, "mcp-gateway"),
    (("--help",), 0, "examples:"),
    (("--version",), 0, "mcp-orchestration-gateway "),
    (("help",), 0, "examples:"),
    (("help", "login"), 0, "--no-browser"),
    (("version",), 0, "mcp-orchestration-gateway "),
    (("status",), 1, "no gateway of yours is running"),
    (("logs",), 1, "no gateway of yours is running"),
    (("servers",), 1, "servers --start"),
    (("tols",), 2, "did you mean 'tools'?"),
    (("login", "one"), 1, "has no login"),
    (("logout", "one"), 1, "has no login"),
]
AS_JSON = ["check", "doctor", "servers", "status", "tools", "pins", "plugins"]


@pytest.mark.parametrize(
    "arguments, code, shown", SHOWN, ids=lambda value: value[0] if isinstance(value, tuple) else ""
)
def test_a_verb_is_for_people_and_for_pipes(home: Home, arguments: tuple[str, ...], code: int, shown: str) -> None:
    piped = home.run(*arguments)
    assert (piped.returncode, shown in piped.stdout + piped.stderr) == (code, True), piped.stdout + piped.stderr
    assert "\x1b" not in piped.stdout + piped.stderr
    ended, screen = home.watch(*arguments)
    assert (ended, shown in screen) == (code, True), screen


LANGUAGES = {"serve": "MCP", "schema": "JSON", "completion": "a shell's", "help": "English"}
"""What the verbs without `--json` print."""


def test_every_verb_of_every_plugin_here_tells_programs_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    commands = collect_commands(load_plugins(plugin_choice({})), VERBS).commands
    assert {"login", "logout", "secret"} < {*commands}
    assert {name for name, command in commands.items() if not command.has_json} == {*LANGUAGES}
    for name in {*commands} - {*LANGUAGES}:
        assert main([name, "--json", "--nope"]) == 2
        printed = capsys.readouterr()
        failure = json.loads(printed.out)
        assert (failure["success"], failure["error_code"], printed.err) == (False, "usage", "")
        assert main([name, "--nope"]) == 2
        assert capsys.readouterr().err == f"mcp-orchestration-gateway: {failure['error']}\n"


@pytest.mark.parametrize(
    "arguments, error_code",
    [
        (("login", "one"), "invalid_configuration"),
        (("logout", "nope"), "invalid_configuration"),
        (("secret", "set"), "usage"),
        (("secret", "list", "x"), "usage"),
    ],
)
def test_verbs_of_plugins_tell_programs_what_failed(home: Home, arguments: tuple[str, ...], error_code: str) -> None:
    done = home.run(*arguments, "--json")
    failure = json.loads(done.stdout)
    assert (done.returncode, failure["error_code"]) == (2 if error_code == "usage" else 1, error_code)
    assert (done.stderr, bool(failure["error"])) == ("", True)


@pytest.mark.parametrize("verb", AS_JSON)
def test_a_verb_prints_json(home: Home, verb: str) -> None:
    assert isinstance(json.loads(home.run(verb, "--json").stdout), dict)


def test_a_table_fits_a_narrow_terminal(home: Home) -> None:
    code, screen = home.watch("plugins", columns=60)
    assert code == 0
    assert max(map(len, screen.splitlines())) <= 60


def test_a_question_of_a_server_is_asked_on_the_terminal(asking: Home) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    question = ["elicitation/create", {"mode": "form", "message": "How old?", "requestedSchema": schema}]
    for server in ("handshake", "modern"):
        call = ("call", f"{server}__ask", json.dumps({"rounds": [[question]]}))
        with asking.open_terminal(*call) as terminal:
            terminal.expect_exact("How old?")
            terminal.expect_exact("age [integer]: ")
            terminal.sendline("many")
            terminal.expect_exact("'age' must be a number")
            terminal.expect_exact("age [integer]: ")
            terminal.sendline("36")
            terminal.expect_exact('"age": 36')
            terminal.expect(pexpect.EOF)
    piped = asking.run(*call)
    assert (piped.returncode, "elicitation" in piped.stderr) == (1, True), piped.stderr


def test_progress_of_a_call_is_shown(asking: Home) -> None:
    extra = {"message": "half [/bold] of it\x1b[2J", "total": 10**400}
    arguments = json.dumps({"seconds": 0.7, "steps": 4, "extra": extra})
    with asking.open_terminal("call", "modern__slow", arguments) as terminal:
        terminal.expect_exact("half [/bold] of it\\x1b[2J")
        terminal.expect_exact("slow done")
        terminal.expect(pexpect.EOF)


def test_ctrl_c_ends_a_question(asking: Home) -> None:
    question = ["elicitation/create", {"mode": "form", "message": "Sure?", "requestedSchema": {"type": "object"}}]
    with asking.open_terminal("call", "modern__ask", json.dumps({"rounds": [[question]]})) as terminal:
        terminal.expect_exact("agree? [y/n] ")
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert "Fatal" not in (terminal.before or "")
        assert terminal.exitstatus == 130


def test_a_new_plugin_is_written(home: Home, tmp_path: Path) -> None:
    done = home.run("plugins", "new", "command", "my-verb", "--into", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "my-verb" / "src" / "my_verb" / "command.py").exists()


def test_without_servers_it_says_what_to_type(tmp_path: Path) -> None:
    for verb in ("check", "servers"):
        shown = Home(tmp_path).run(verb)
        assert "add NAME" in shown.stdout + shown.stderr, shown


# -- running gateways


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Home, list[Process]]]:
    """Two gateways of one user: one over HTTP, one over stdio that listens at a port for commands."""
    config = tmp_path / "servers.json"
    config.write_text(json.dumps({"servers": [plain_entry("one")]}), encoding="utf-8")
    home = Home(tmp_path, {"SERVER_CONFIG_PATH": str(config)})
    with ExitStack() as stack:
        launcher = Launcher(tmp_path, stack)
        port = str(free_port())
        variables = {"GATEWAY_TRANSPORT": "http", "GATEWAY_PORT": port}
        processes = [
            launcher.start([GATEWAY], {**home.environment, **more})
            for more in (variables, {"GATEWAY_CONTROL_SOCKET": "loopback"})
        ]
        until(lambda: len(pids(home)) == 2, "both gateways answer")
        yield home, processes


def pids(home: Home) -> set[int]:
    return {one["pid"] for one in json.loads(home.run("status", "--json").stdout)["gateways"]}


def test_running_gateways_describe_themselves(running: tuple[Home, list[Process]]) -> None:
    home, processes = running
    over_http, over_stdio = (process.popen.pid for process in processes)
    assert pids(home) == {over_http, over_stdio}
    code, screen = home.watch("status")
    assert code == 0
    assert "serves    http: http://127.0.0.1:" in screen
    assert "serves    stdio" in screen
    until(lambda: home.run("servers").returncode == 0, "the servers are ready")
    assert home.run("servers", "--gateway", str(over_http)).stdout.count("servers work") == 1
    several = home.run("logs")
    assert (several.returncode, "choose one with --gateway PID" in several.stderr) == (1, True)
    shown = home.run("logs", "one", "--gateway", str(over_http))
    assert "one: server state state=ready" in shown.stdout
    wrong = home.run("logs", "onne", "--gateway", str(over_http))
    assert "did you mean 'one'?" in wrong.stderr
    for verb in ("servers", "status", "logs"):
        unknown = home.run(verb, "--gateway", "1")
        assert (unknown.returncode, "runs with process 1; running: " in unknown.stderr) == (1, True), unknown
    with home.open_terminal("logs", "-f", "--gateway", str(over_http)) as following:
        following.expect("ready")
        following.sendintr()
        following.expect(pexpect.EOF)
    call = ("call", "--gateway", str(over_http), "one__echo", "text=hello")
    assert '"text": "hello"' in home.run(*call, "--json").stdout
    assert home.watch(*call)[0] == 0
    unknown = home.run("call", "--gateway", str(over_http), "one__nope")
    assert (unknown.returncode, "no tool 'nope'" in unknown.stderr) == (1, True), unknown
    calls = json.loads(home.run("status", "--gateway", str(over_http), "--json").stdout)["gateways"][0]["calls"]
    assert calls["admitted"] == 2
    processes[0].popen.send_signal(signal.SIGSTOP)
    stopped = home.run("servers")
    assert (stopped.returncode, f"process {over_http} does not answer" in stopped.stderr) == (1, True), stopped
    assert f"process {over_stdio}, of " in stopped.stdout
    processes[0].popen.kill()
    processes[0].popen.wait()
    assert pids(home) == {over_stdio}
    sockets = home.folder / "run" / "mcp-orchestration-gateway"
    assert [path.stem for path in sockets.iterdir()] == [str(over_stdio)]
    processes[1].popen.terminate()
    processes[1].popen.wait()
    assert list(sockets.iterdir()) == []
    nobody = home.run("status")
    assert (nobody.returncode, "no gateway of yours is running" in nobody.stdout) == (1, True)


def count_calls(home: Home, pid: int) -> int:
    """Return how many calls are under way."""
    shown = home.run("status", "--gateway", str(pid), "--json").stdout
    return int(json.loads(shown)["gateways"][0]["calls"]["running"])


def test_a_call_by_a_running_gateway_ends_with_either_side(running: tuple[Home, list[Process]]) -> None:
    home, processes = running
    pid = processes[0].popen.pid
    until(lambda: home.run("servers", "--gateway", str(pid)).returncode == 0, "the servers are ready")
    call = ("call", "--gateway", str(pid), "one__slow", "seconds:=0.5", "steps:=1000")
    with home.open_terminal(*call) as first, home.open_terminal(*call) as second:
        for terminal in (first, second):
            terminal.expect(r"one__slow: \d+ of 1000")  # its progress: the call is under way
        assert count_calls(home, pid) == 2
        first.sendintr()
        first.expect(pexpect.EOF)
        until(lambda: count_calls(home, pid) == 1, "the interrupted call is cancelled")
        processes[0].popen.kill()
        second.expect_exact("has ended")
        second.expect(pexpect.EOF)
        second.close()
        assert second.exitstatus == 1
    with home.open_terminal("call", "--gateway", str(processes[1].popen.pid), *call[3:]) as killed:
        killed.expect(r"one__slow: \d+ of 1000")
        killed.kill(signal.SIGKILL)
        killed.expect(pexpect.EOF)
    until(lambda: count_calls(home, processes[1].popen.pid) == 0, "the call of the killed command is cancelled")


def test_a_server_is_added_switched_and_removed_while_a_gateway_runs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    entry = plain_entry("one")
    words = [entry["command"], *entry["args"]]
    refused = home.run("add", "one")
    assert (refused.returncode, "add one -- COMMAND" in refused.stderr) == (2, True)
    added = home.run("add", "one", "--", *words)
    assert (added.returncode, "8 tools" in added.stdout) == (0, True), added.stderr
    config = tmp_path / ".config" / "mcp-orchestration-gateway" / "server_config.json"
    before = config.read_bytes()
    with ExitStack() as stack:
        variables = {"GATEWAY_TRANSPORT": "http", "GATEWAY_PORT": str(free_port()), "GATEWAY_CONFIG_RELOAD": "0.1"}
        Launcher(tmp_path, stack).start([GATEWAY], {**home.environment, **variables})

        def states() -> dict[str, str]:
            gateways = json.loads(home.run("servers", "--json").stdout)["gateways"]
            return {item["name"]: item["state"] for one in gateways for item in one["servers"]}

        until(lambda: states() == {"one": "ready"}, "the first server is ready")
        code, screen = home.watch("add", "two", "-e", "TOKEN=s3cr3t", "--no-try", "--", *words)
        assert (code, "added two" in screen) == (0, True), screen
        until(lambda: states() == {"one": "ready", "two": "ready"}, "the second is taken over")
        listed = home.run("list")
        assert [line.split()[0] for line in listed.stdout.splitlines()] == ["one", "two", "in"]
        assert "s3cr3t" not in listed.stdout
        assert home.run("disable", "two").returncode == 0
        until(lambda: states()["two"] == "disabled", "it is switched off")
        assert home.run("enable", "two").returncode == 0
        until(lambda: states()["two"] == "ready", "it is switched on")
        assert home.watch("remove", "two")[0] == 0
        until(lambda: set(states()) == {"one"}, "it is gone")
    assert config.read_bytes() == before
    again = home.run("add", "one", "--", *words)
    assert (again.returncode, "--force replaces it" in again.stderr) == (1, True)
    assert "did you mean 'one'?" in home.run("remove", "onne").stderr
    broken = home.run("add", "bad", "--", "no-such-command-anywhere")
    assert (broken.returncode, "bad is not added, because it does not work" in broken.stderr) == (1, True)
    assert config.read_bytes() == before
