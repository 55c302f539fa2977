"""The command line: what each command prints, for people and for programs, and its exit code."""

from __future__ import annotations

import json

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp_gateway_cli.main import main

from core.tests.support import fake_plugins as plugins
from core.tests.support.fake_plugins import MemoryStorage
from mcp_gateway.plugin import StorageError
from mcp_gateway.plugin_host.providers import EVERYTHING
from mcp_gateway.protocol.implementation import VERSION

FROM = "from where you have the gateway"


@pytest.fixture
def no_plugins(monkeypatch):
    monkeypatch.setattr("mcp_gateway.plugin_host.loader._entry_points", lambda: iter(()))


# -- check


def test_a_right_configuration_is_well(run, servers):
    servers({"name": "a", "command": "x"}, {"name": "b", "url": "http://x"})
    assert run("check") == (
        0,
        "all is well: 2 servers: a, b\nno server was started; check --connect tries them\n",
        "",
    )


def test_a_right_configuration_is_well_for_programs_too(run, servers):
    servers({"name": "a", "command": "x"})
    code, out, _ = run("check", "--json")
    assert (code, json.loads(out)) == (0, {"ok": True, "problems": [], "warnings": [], "servers": ["a"], "off": []})


def test_what_a_plugin_misses_on_this_machine_is_wrong(run, servers):
    servers({"name": "a", "command": "gone"}, {"name": "b", "command": "x"})
    assert run("check") == (1, "wrong: server_config.json: server 'a': it is not there\n", "")


class Gone(MemoryStorage):
    async def get(self, key):
        raise StorageError("no route")


class Silent(MemoryStorage):
    async def get(self, key):
        await anyio.sleep_forever()


@pytest.mark.parametrize("storage, said", [(Gone(), "no route"), (Silent(), "it did not answer within 0.1 s")])
def test_a_storage_that_does_not_answer_is_wrong(run, servers, monkeypatch, storage, said):
    monkeypatch.setattr(plugins, "INSTALLED", plugins.everything(storage=storage))
    monkeypatch.setattr("mcp_gateway.control.check.STORAGE_SECONDS", 0.1)
    servers({"name": "a", "command": "x"})
    assert run("check") == (1, f"wrong: environment: STORAGE_BACKEND=memory: {said}\n", "")


def test_everything_that_is_wrong_is_reported_at_once(run, servers, monkeypatch):
    servers({"name": "a", "comand": "x"}, {"name": "b", "url": "${NOT_THERE}"}, {"name": "c", "transport": "pigeon"})
    monkeypatch.setenv("GATEWAY_RANKER", "bm52")
    code, out, _ = run("check", "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert len(found["problems"]) == 4
    assert "the environment variable NOT_THERE is not set" in found["problems"][2]
    assert "did you mean 'bm25'?" in found["problems"][0]
    assert "nobody reads the key 'comand'; did you mean 'command'?" in "".join(found["problems"])
    assert "no client transport is called 'pigeon'" in found["problems"][-1]


def test_a_server_that_is_disabled_for_want_of_a_variable_is_wrong(run, servers):
    servers({"name": "a", "command": "x"}, {"name": "b", "command": "${NOT_THERE}"})
    code, out, _ = run("check")
    assert code == 1
    assert "wrong: server_config.json: server 'b' is not used: the environment variable NOT_THERE is not set" in out


def test_a_variable_that_nobody_reads_is_a_warning_only(run, servers, monkeypatch):
    servers({"name": "a", "command": "x"})
    monkeypatch.setenv("GATEWAY_RANKR", "bm25")
    code, out, _ = run("check")
    assert code == 0
    assert "warning: environment: nobody reads GATEWAY_RANKR; did you mean 'GATEWAY_RANKER'?" in out


def test_the_file_may_be_given_on_the_command_line(run, installed, tmp_path):
    (tmp_path / "other.json").write_text('{"servers": 3}', encoding="utf-8")
    code, out, _ = run("--config", str(tmp_path / "other.json"), "check")
    assert code == 1
    assert "other.json: it has no servers" in out


# -- plugins


def test_what_is_installed_is_listed_and_what_is_selected_marked(run, servers):
    servers({"name": "a", "url": "http://x", "auth_type": "static", "auth_headers": {"X": "y"}})
    code, out, _ = run("plugins")
    assert code == 0
    rows = [line for line in out.splitlines() if "  everything  " in line]
    assert len(rows) == 11
    assert [line.split("everything")[0].split() for line in rows if line.startswith("* ")] == [
        ["*", "server", "transport", "stdio"],
        ["*", "client", "transport", "http"],
        ["*", "auth", "strategy", "static"],
        ["*", "ranker", "bm25"],
        ["*", "storage", "backend", "memory"],
    ]


def test_a_plugin_to_disable_that_is_not_installed_is_a_warning(run, servers, monkeypatch):
    servers({"name": "a", "url": "http://x"})
    monkeypatch.setenv("GATEWAY_DISABLED_PLUGINS", "ranker-bm52")
    said = "warning: environment: GATEWAY_DISABLED_PLUGINS: no plugin is called 'ranker-bm52'"
    assert said in run("check")[1]


@pytest.mark.parametrize("command", ["check", "plugins", "serve"])
def test_a_plugin_to_load_that_is_not_installed_is_named_with_what_there_is(run, servers, monkeypatch, command):
    servers({"name": "a", "url": "http://x"})
    monkeypatch.setenv("GATEWAY_PLUGINS", "everything,everythin")
    code, out, err = run(command)
    assert code == 1
    [line] = (out + err).splitlines()
    said = "GATEWAY_PLUGINS: no plugin is called 'everythin'; did you mean 'everything'? installed: "
    assert said in line
    assert "everything" in line.partition("installed: ")[2]


def test_a_list_of_plugins_without_a_name_is_refused(run, servers, monkeypatch):
    servers({"name": "a", "url": "http://x"})
    monkeypatch.setenv("GATEWAY_PLUGINS", ",")
    assert "GATEWAY_PLUGINS: it names no plugin; unset it to load all" in run("check")[1]


def test_what_is_installed_is_listed_for_programs_too(run, servers):
    servers({"name": "a", "url": "http://x"})
    code, out, _ = run("plugins", "--json")
    found = json.loads(out)
    assert (code, found["api_version"], found["broken"]) == (0, 1, [])
    selected = {(item["kind"], item["name"]) for item in found["installed"] if item["selected"]}
    assert selected == {
        ("server transport", "stdio"),
        ("client transport", "http"),
        ("ranker", "bm25"),
        ("storage backend", "memory"),
    }
    assert found["installed"][0].keys() == {
        "kind",
        "name",
        "summary",
        "selected",
        "plugin",
        "distribution",
        "version",
    }


def test_a_broken_plugin_is_listed_with_its_reason(run, installed, install, monkeypatch):
    install("acme", "0.1", modules={"acme_broken": "import no_such_library"}, ranker_acme="acme_broken")
    monkeypatch.setenv("GATEWAY_PLUGINS", "everything,ranker-acme")
    code, out, _ = run("plugins")
    assert code == 1
    assert "! broken: ranker-acme (acme 0.1): ModuleNotFoundError: No module named 'no_such_library'" in out


def test_a_plugin_that_is_left_out_is_listed_as_such(run, installed, monkeypatch):
    monkeypatch.setenv("GATEWAY_DISABLED_PLUGINS", "everything")
    code, out, _ = run("plugins")
    assert code == 0
    assert "- left out: everything (all-plugins 1.2.3)" in out


def test_an_installation_without_plugins_says_how_to_get_some(run, no_plugins):
    code, out, _ = run("plugins")
    assert code == 0
    assert (
        "no plugins are installed; for the default ones: install mcp-orchestration-gateway from where you have the core"
        in out
    )


# -- schema


def schema_of(run):
    code, out, _ = run("schema")
    schema = json.loads(out)
    Draft202012Validator.check_schema(schema)
    assert code == 0
    return Draft202012Validator(schema)


@pytest.mark.parametrize(
    "sample",
    [
        {"servers": []},
        {"version": "1.0", "servers": [{"name": "a", "command": "x", "args": ["y"], "env": {"K": "v"}}]},
        {"servers": [{"name": "a", "transport": "http", "url": "https://x", "expose_tools": True, "timeout": 3}]},
        {"servers": [{"name": "a", "url": "http://x", "auth_type": "static", "auth_headers": {"X": "y"}}]},
        {"mcpServers": {"a": {"command": "x", "alwaysAllow": []}}},
        {"servers": {"a": {"type": "stdio", "command": "x"}}},
    ],
)
def test_the_schema_takes_what_the_gateway_takes(run, installed, sample):
    schema_of(run).validate(sample)


@pytest.mark.parametrize(
    "sample",
    [
        {},
        {"servers": 3},
        {"servers": [{"command": "x"}]},
        {"servers": [{"name": "a", "comand": "x"}]},
        {"servers": [{"name": "a", "transport": "stdio"}]},
        {"servers": [{"name": "a", "transport": "http"}]},
        {"servers": [{"name": "a", "url": "http://x", "auth_type": "static"}]},
        {"servers": [{"name": "a", "command": "x", "timeout": 0}]},
        {"servers": [{"name": "a", "command": "x", "connection_mode": "sticky"}]},
    ],
)
def test_the_schema_refuses_what_the_gateway_refuses(run, installed, sample):
    assert not schema_of(run).is_valid(sample)


# -- serve, and the command line itself


@pytest.mark.parametrize("arguments", [(), ("serve",)])
def test_a_gateway_without_plugins_cannot_serve_and_says_what_to_install(run, no_plugins, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert [line.removeprefix("mcp-orchestration-gateway: environment: ") for line in err.splitlines()] == [
        (
            "GATEWAY_TRANSPORT: no server transport is called 'stdio'; installed: none; "
            f"install mcp-gateway-transport-stdio {FROM}"
        ),
        (
            "STORAGE_BACKEND: no storage backend is called 'memory'; installed: none; "
            f"install mcp-gateway-storage-memory {FROM}"
        ),
        f"GATEWAY_RANKER: no ranker is called 'bm25'; installed: none; install mcp-gateway-ranker-bm25 {FROM}",
        f"no plugins are installed at all; for the default ones: {EVERYTHING}",
    ]


def test_a_transport_on_the_command_line_wins_over_the_environment(run, installed, monkeypatch):
    monkeypatch.setenv("GATEWAY_TRANSPORT", "http")
    assert "is called 'pigeon'" in run("serve", "--transport", "pigeon")[2]


def test_a_port_at_which_nothing_listens_is_reported(run, servers):
    servers({"name": "a", "command": "x"})
    code, _, err = run("serve", "--port", "8081")
    reason = "--port: nothing listens there with the transport 'stdio'; add --transport http"
    assert (code, err) == (2, f"mcp-orchestration-gateway: {reason}\n")


def test_a_problem_of_the_file_has_its_picture_on_standard_error(run, servers, tmp_path):
    servers()
    (tmp_path / "server_config.json").write_text('{"servers": [\n  {"name": "a" "command": "x"}]}', encoding="utf-8")
    code, out, err = run("servers")
    assert (code, out) == (1, "")
    where = "mcp-orchestration-gateway: server_config.json: line 2, column 15"
    assert err.splitlines() == [
        f"{where}: a comma is missing here (the file is not JSON)",
        '    2 |   {"name": "\u00b7" "command": "\u00b7"}]}',
        "      |               ^",
        "      | (\u00b7 hides what may be a secret)",
    ]


def test_servers_that_cannot_be_used_are_named_one_by_one(run, servers):
    servers({"name": "a", "comand": "x"}, {"name": "b", "command": 3})
    out = run("servers", "--start")[1]
    assert [line.split()[:2] for line in out.splitlines()] == [["a", "not"], ["b", "not"], ["0", "of"]]


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("--nonsense",), ("search",), ("search", "x", "--max", "many"), ("search", "x", "--max", "0")],
)
def test_a_wrong_command_line_has_an_exit_code_of_its_own(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.endswith("--help)\n")


def test_the_version_is_that_of_the_distribution(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mcp-orchestration-gateway {VERSION}\n"
