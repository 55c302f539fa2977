"""With --json, a command that fails prints one object with an `error_code`, and nothing else."""

from __future__ import annotations

import json

import pytest
from mcp_gateway_cli import verbs

from core.tests.support.fake_servers import text
from mcp_gateway.control.commands import CORE_COMMANDS
from mcp_gateway.plugin import Command

NOT_JSON = {
    "serve": "it speaks MCP",
    "schema": "what it prints is JSON",
    "completion": "what it prints is a shell's",
    "help": "what it prints is for people",
}
JSON_VERBS = [command.name for command in (*verbs.VERBS, *CORE_COMMANDS) if command.has_json]
NO_GATEWAY, WRONG = "no_gateway", "invalid_configuration"
FAILURES = {
    "status": ((), NO_GATEWAY),
    "logs": ((), NO_GATEWAY),
    "servers": ((), NO_GATEWAY),
    "tools": (("--server", "nope"), "unknown_server"),
    "search": (("echo", "--server", "nope"), "unknown_server"),
    "describe": (("nope__x",), "unknown_server"),
    "call": (("nope__x",), "unknown_server"),
    "check": (("--config", "broken.json"), "problems_found"),
    "doctor": (("--config", "broken.json"), "problems_found"),
    "plugins": (("info", "nope"), WRONG),
    "add": (("alpha", "http://127.0.0.1:9/mcp"), WRONG),
    "remove": (("nope",), WRONG),
    "enable": (("nope",), WRONG),
    "disable": (("nope",), WRONG),
    "list": (("--config", "broken.json"), WRONG),
    "init": (("--config", "broken.json"), WRONG),
    "import": (("nope",), WRONG),
    "connect": (("nope",), WRONG),
    "disconnect": (("nope",), WRONG),
    "undo": (("--nope",), "usage"),
    "pins": (("--config", "broken.json"), WRONG),
    "approve": (("nope",), WRONG),
    "trust": (("nope",), WRONG),
    "version": (("--nope",), "usage"),
}


def read_failure(out):
    """Read the only object that was printed; it says what failed."""
    (line,) = out.splitlines()
    found = json.loads(line)
    assert found["success"] is False
    assert found["error"]
    return found


@pytest.fixture
def alpha(servers, remote, tmp_path):
    servers({"name": "alpha", "transport": "memory"})
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    return remote


def test_every_verb_with_json_has_a_failure_here():
    assert sorted(FAILURES) == sorted(JSON_VERBS)


def test_every_verb_has_json_but_those_with_another_language():
    assert sorted({command.name for command in (*verbs.VERBS, *CORE_COMMANDS)} - {*JSON_VERBS}) == sorted(NOT_JSON)


@pytest.mark.parametrize("verb", FAILURES)
def test_a_failure_is_one_object_with_a_code(run, alpha, verb):
    words, error_code = FAILURES[verb]
    code, out, err = run(verb, *words, "--json")
    assert (code != 0, read_failure(out)["error_code"], err) == (True, error_code, "")


@pytest.mark.parametrize("verb", JSON_VERBS)
def test_a_wrong_command_line_is_one_too(run, alpha, verb):
    code, out, err = run(verb, "--json", "--nope")
    failure = read_failure(out)
    assert (code, failure["error_code"], err) == (2, "usage", "")
    assert run(verb, "--nope") == (2, "", f"mcp-orchestration-gateway: {failure['error']}\n")


def test_without_json_nothing_but_results_is_on_standard_output(run, alpha):
    assert run("describe", "nope__x")[1] == ""
    assert run("call", "nope__x", "--", "--json")[1] == ""


def test_what_is_well_has_no_code(run, alpha):
    for words in (("search", "echo"), ("tools",), ("describe", "alpha__echo"), ("check",), ("call", "alpha__echo")):
        code, out, _ = run(*words, "--json")
        assert (code, "error_code" in json.loads(out)) == (0, False)


def test_a_tool_that_fails_keeps_its_result(run, alpha):
    failed = {**text("no such city"), "isError": True}
    alpha.answers["echo"] = failed
    code, out, _ = run("call", "alpha__echo", "--json")
    failure = read_failure(out)
    assert (code, failure["error_code"], failure["error"]) == (1, "tool_failed", "no such city")
    assert (failure["content"], failure["isError"]) == (failed["content"], True)


def test_an_error_of_the_gateway_is_told_once(run, servers, alpha):
    servers({"name": "alpha", "transport": "memory", "tools": {"exclude": ["echo"]}})
    code, out, _ = run("call", "alpha__echo", "--json")
    failure = read_failure(out)
    assert (code, sorted(failure)) == (1, ["error", "error_code", "success"])
    assert "mcp-orchestration-gateway tools" in failure["error"]
    assert "tool_search" not in failure["error"]


def test_a_fault_of_a_verb_is_one_without_secrets(run, alpha, monkeypatch):
    def fail(context, arguments):
        raise RuntimeError("Authorization: Bearer s3cret-s3cret-s3cret")

    broken = Command(name="status", summary="fail", run=fail, has_json=True)
    monkeypatch.setattr("mcp_gateway_cli.dispatch.BUILT_IN", {"status": broken})
    code, out, err = run("status", "--json")
    failure = read_failure(out)
    assert (code, failure["error_code"], err) == (1, "internal_error", "")
    assert "in fail" in failure["traceback"]
    assert "s3cret" not in out
