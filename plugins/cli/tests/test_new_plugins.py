"""What is said of a new plugin, and of one that is not selected."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mcp_gateway_cli.plugin_verbs import KINDS
from mcp_gateway_cli.template.installers import Environment, join_words

PYTHON = "/opt/the gateway/bin/python"
PLAIN = Environment(Path("/opt/nowhere"), PYTHON, has_pip=True, has_testkit=True, has_uv=False)
INSTALL = ["-m", "pip", "install", "-e"]
BY_UV = ["uv", "pip", "install", "--python", PYTHON, "-e"]


@pytest.mark.skipif(sys.platform == "win32", reason="lines are split as POSIX shells do")
@pytest.mark.parametrize(
    "changes, marker, words",
    [
        ({}, "", [PYTHON, *INSTALL, "./my-ranker[test]"]),
        ({"has_testkit": False}, "", [PYTHON, *INSTALL, "./my-ranker"]),
        ({"has_uv": True}, "", [PYTHON, *INSTALL, "./my-ranker[test]"]),
        (
            {"has_pip": False, "has_uv": True},
            "",
            [*BY_UV, "./my-ranker[test]"],
        ),
        ({"has_pip": False}, "", [PYTHON, "-m", "ensurepip", "&&", PYTHON, *INSTALL, "./my-ranker[test]"]),
        ({}, "uv-receipt.toml", [*BY_UV, "./my-ranker[test]"]),
        ({}, "pipx_metadata.json", ["pipx", "inject", "gateway", "-e", "./my-ranker[test]"]),
    ],
    ids=["pip", "no testkit", "pip and uv", "uv", "nothing", "uv tool", "pipx"],
)
def test_the_command_that_installs_fits_the_environment(tmp_path, changes, marker, words):
    environment = replace(PLAIN, **changes)
    if marker:
        (tmp_path / "gateway").mkdir()
        (tmp_path / "gateway" / marker).touch()
        environment = replace(environment, prefix=tmp_path / "gateway")
    assert shlex.split(environment.install_command(Path("my-ranker"))) == words
    assert shlex.split(environment.test_command(Path("my-ranker"))) == [PYTHON, "-m", "pytest", "my-ranker"]


@pytest.mark.parametrize("folder, place", [("x", "./x"), ("../x", "../x"), ("/a b/x", "/a b/x"), ("a/x", "./a/x")])
def test_a_folder_is_not_taken_for_a_package(folder, place):
    assert PLAIN.install_command(Path(folder)).endswith(join_words(f"{place}[test]"))


def test_without_the_testkit_it_is_said_what_tests_need(run, installed, tmp_path, monkeypatch):
    monkeypatch.setattr(Environment, "find", classmethod(lambda _: replace(PLAIN, has_testkit=False)))
    code, out, _ = run("plugins", "new", "ranker", "mine", "--into", str(tmp_path))
    assert code == 0
    lines = out.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("its tests need mcp-gateway-testkit: "))
    place = f"{tmp_path / 'mine'}[test]"
    assert shlex.split(lines[at + 1]) == [PYTHON, *INSTALL, place, "-e", "TESTKIT"]
    assert lines[at + 2] == "to run its tests:"


@pytest.mark.parametrize(
    "kind, name, said",
    [
        ("command", "list", "'list' is taken: there is the command 'list' already"),
        ("command", "plugins", "'plugins' is taken: there is the command 'plugins' already"),
        ("command", "approve", "'approve' is taken: there is the command 'approve' already"),
        ("command", "login", "'login' is taken: there is the command 'login' already"),
        ("ranker", "bm25", "'bm25' is taken: there is the ranker 'bm25' already"),
        ("storage", "memory", "'memory' is taken: there is the storage backend 'memory' already"),
        ("auth", "oauth", "'oauth' is taken: there is the auth strategy 'oauth' already"),
        ("auth", "forward", "'forward' is taken: there is the auth strategy 'forward' already"),
        ("auth", "none", "'none' is taken: there is the auth strategy 'none' already"),
        ("client-transport", "sse", "'sse' is taken: there is the client transport 'sse' already"),
        ("server-transport", "shared", "'shared' is taken: there is the server transport 'shared' already"),
        ("variables", "keyring", "'keyring' is taken: there is the variable source 'keyring' already"),
        ("ranker", "mcp-gateway-cli", "'mcp-gateway-cli' is taken: mcp-gateway-cli is installed, and the plugin would"),
        ("command", "filelock", "'filelock' is taken: filelock is installed, and the plugin would replace it"),
        ("command", "yaml", "'yaml' is taken: PyYAML is installed, and has a module yaml"),
    ],
)
def test_a_name_that_could_not_be_installed_beside_the_rest_is_refused(run, tmp_path, kind, name, said):
    code, _, err = run("plugins", "new", kind, name, "--into", str(tmp_path))
    assert (code, said in err, list(tmp_path.glob(name))) == (1, True, [])


def test_the_help_lists_the_kinds_with_a_line_each(run, installed):
    for words in (("plugins", "--help"), ("plugins", "new", "--help"), ("help", "plugins")):
        shown = run(*words)[1]
        assert [kind for kind, what in KINDS.items() if f"  {kind:<17} {what}\n" not in shown] == []


@pytest.mark.parametrize("name", ["bm25", "http", "static", "memory", "stdio"])
def test_what_selects_a_plugin_is_said(run, servers, name):
    servers({"name": "a", "command": "x"})
    found = json.loads(run("plugins", "info", name, "--json")[1])["plugins"]
    shown = run("plugins", "info", name)[1]
    for one in found:
        line = "the configuration selects it" if one["selected"] else f"not selected; to select it: {one['select']}"
        assert f"  {line}\n" in shown
        assert name in one["select"]
