"""`doctor` over servers in memory: what it finds, what it does not, and the exit codes."""

from __future__ import annotations

import json

import anyio
import pytest

from core.tests.support import fake_plugins as plugins
from core.tests.support.fake_plugins import MemoryStorage
from core.tests.support.fake_servers import tool
from mcp_gateway.plugin import Diagnosis, LoginRequired, StorageError

ALPHA = {"name": "alpha", "transport": "memory"}


@pytest.fixture
def examine(run):
    """Run it; return its exit code and the findings that are no remarks, by code."""

    def run_doctor(*arguments, remarks=False):
        code, out, _ = run("doctor", "--json", *arguments)
        findings = json.loads(out)["findings"]
        return code, {one["code"]: one for one in findings if remarks or one["severity"] != "ok"}

    return run_doctor


def test_where_all_is_well_it_says_what_each_server_has(run, examine, servers):
    servers(ALPHA)
    assert examine() == (0, {})
    code, found = examine(remarks=True)
    assert (code, list(found)) == (0, ["folder-not-trusted", "server-well"])
    assert found["server-well"]["subject"] == "alpha"
    assert "1 tool, " in found["server-well"]["message"]
    assert run("doctor")[1].splitlines()[-1] == "all is well"


def test_an_empty_folder_says_what_to_type(run, examine, installed):
    code, found = examine()
    assert (code, list(found)) == (10, ["no-servers"])
    assert "mcp-orchestration-gateway init" in found["no-servers"]["mend"]
    assert "mcp-orchestration-gateway add NAME -- COMMAND" in found["no-servers"]["mend"]
    assert run("doctor")[1].splitlines()[-1] == "0 errors, 1 warning"


def test_for_people_a_finding_is_a_line_and_its_mend_another(run, servers):
    servers({"name": "a", "command": "x", "enabled": True, "comand": "y"})
    code, out, _ = run("doctor")
    assert code == 11
    assert out.splitlines()[:2] == [
        "error: a: it is not used: nobody reads the key 'comand' [server-invalid]",
        "  fix: did you mean 'command'?",
    ]


def test_a_file_that_is_trusted_no_more_is_a_warning(run, examine, servers):
    servers(ALPHA)
    assert examine(remarks=True)[1]["folder-not-trusted"]["severity"] == "ok"
    assert run("trust")[0] == 0
    assert "folder-not-trusted" not in examine(remarks=True)[1]
    servers({**ALPHA, "timeout": 20})
    code, found = examine()
    assert (code, list(found)) == (10, ["folder-not-trusted"])
    assert "mcp-orchestration-gateway trust" in found["folder-not-trusted"]["mend"]


def test_a_server_that_wants_a_login_leads_to_it(examine, servers, remote):
    remote.refusal = LoginRequired("https://login.example/secret-state")
    servers(ALPHA)
    code, found = examine()
    assert (code, list(found)) == (11, ["login-needed"])
    assert found["login-needed"]["mend"] == "mcp-orchestration-gateway login alpha"
    assert "secret-state" not in json.dumps(found)


def test_a_file_that_cannot_be_read_is_an_error(examine, servers, tmp_path):
    servers(ALPHA)
    (tmp_path / "server_config.json").write_text('{"servers": [', encoding="utf-8")
    code, found = examine()
    assert (code, found["configuration-invalid"]["subject"]) == (11, "server_config.json")
    assert [line.strip() for line in found["configuration-invalid"]["picture"]] == [
        '1 | {"servers": [',
        "|             ^",
    ]


def test_people_see_the_place_in_a_broken_file(run, servers, tmp_path):
    servers(ALPHA)
    (tmp_path / "server_config.json").write_text('{"servers": [\n {"name": "a" "url": "x"}]}', encoding="utf-8")
    shown = run("doctor")[1].splitlines()
    first = next(number for number, line in enumerate(shown) if "[configuration-invalid]" in line)
    assert "a comma is missing here" in shown[first]
    assert [line.strip() for line in shown[first + 1 : first + 5]] == [
        '2 |  {"name": "·" "url": "·"}]}',
        "|              ^",
        "| (· hides what may be a secret)",
        "fix: correct it",
    ]


def test_a_setting_that_is_wrong_is_an_error_and_an_unknown_one_a_warning(examine, servers, monkeypatch):
    servers(ALPHA)
    monkeypatch.setenv("GATEWAY_RANKR", "bm25")
    code, found = examine()
    assert (code, found["setting-unknown"]["message"]) == (10, "nobody reads GATEWAY_RANKR")
    assert "did you mean 'GATEWAY_RANKER'?" in found["setting-unknown"]["mend"]
    monkeypatch.setenv("GATEWAY_LOG_LEVEL", "loud")
    code, found = examine()
    assert (code, "GATEWAY_LOG_LEVEL" in found["configuration-invalid"]["message"]) == (11, True)


def test_plugins_that_are_broken_or_of_another_api_are_warnings(examine, servers, install, monkeypatch):
    install("acme-broken", modules={"acme_broken": "raise ValueError('no')"}, ranker_broken="acme_broken")
    install("acme-other", modules={"acme_other": "GATEWAY_API = 7"}, ranker_other="acme_other")
    servers(ALPHA)
    monkeypatch.setenv("GATEWAY_PLUGINS", "everything,ranker-broken,ranker-other")
    code, found = examine()
    assert (code, sorted(found)) == (10, ["plugin-broken", "plugin-of-other-api"])
    assert found["plugin-broken"]["subject"] == "ranker-broken (acme-broken 1.0.0)"
    assert found["plugin-broken"]["mend"] == "update acme-broken, or uninstall it"
    assert found["plugin-of-other-api"]["mend"] == "update the core"


@pytest.mark.parametrize("error, said", [(StorageError("no route"), "no route"), (OSError("gone"), "gone")])
def test_a_server_that_fails_says_why(examine, servers, remote, error, said):
    remote.refusal = error
    servers(ALPHA)
    code, found = examine()
    assert (code, list(found)) == (11, ["server-fails"])
    assert said in found["server-fails"]["message"]


def test_a_server_that_hangs_does_not_hold_it_up(examine, servers, remote):
    remote.silent = True
    servers(ALPHA)
    code, found = examine("--seconds", "1")
    assert (code, list(found)) == (11, ["server-slow"])
    assert "within the 0.6 s that all servers have here" in found["server-slow"]["message"]


def test_what_a_plugin_finds_takes_the_place_of_the_error(examine, servers, remote, monkeypatch):
    async def diagnose(_options):
        return [
            Diagnosis(code="line-cut", message="the line is cut", mend="mend the line"),
            Diagnosis(code="line-old", message="the line is old", is_error=False),
        ]

    use_transport(monkeypatch, remote, diagnose)
    servers(ALPHA)
    assert sorted(examine()[1]) == ["line-old"]  # it works all the same: a warning only
    remote.refusal = OSError("no route")
    code, found = examine()
    assert (code, sorted(found)) == (11, ["line-cut", "line-old"])
    assert (found["line-cut"]["subject"], found["line-cut"]["mend"]) == ("alpha", "mend the line")


def test_a_plugin_that_cannot_look_does_not_end_it(examine, servers, remote, monkeypatch):
    async def diagnose(_options):
        raise RuntimeError("geheim")

    use_transport(monkeypatch, remote, diagnose)
    remote.refusal = OSError("no route")
    servers(ALPHA)
    code, found = examine()
    assert (code, sorted(found)) == (11, ["diagnosis-failed", "server-fails"])
    assert "geheim" not in json.dumps(found)


def use_transport(monkeypatch, remote, diagnose):
    made = plugins.everything()
    transports = [plugins.provider("memory", lambda _: remote, plugins.Named, diagnose=diagnose)]
    made.mcp_gateway_client_transports = plugins.plugin(client_transports=transports).mcp_gateway_client_transports
    monkeypatch.setattr(plugins, "INSTALLED", made)


def test_credentials_that_are_refused_lead_to_where_they_are_written(examine, servers, remote):
    remote.carries_credentials = True
    servers({**ALPHA, "auth_type": "forward"})
    code, found = examine()
    assert (code, list(found)) == (11, ["credentials-refused"])
    assert "each client sends its own" in found["credentials-refused"]["mend"]


def test_what_clients_refuse_of_a_list_is_a_warning(examine, servers, remote):
    remote.tools += [{"name": "odd", "inputSchema": "object"}]
    servers(ALPHA)
    code, found = examine()
    assert (code, list(found)) == (10, ["schema-refused"])
    assert found["schema-refused"]["message"] == "its tool 'odd' is left out: its inputSchema is no object"


def test_a_name_that_is_taken_is_a_warning_and_one_that_is_cut_a_remark(examine, servers, remote):
    remote.tools += [tool("tool_search"), tool("x" * 80)]
    servers({**ALPHA, "namespace": None}, {"name": "beta", "transport": "memory"})
    code, found = examine(remarks=True)
    assert (code, found["name-clash"]["subject"]) == (10, "alpha")
    assert "give server 'alpha' a \"namespace\"" in found["name-clash"]["mend"]
    assert (found["name-cut"]["severity"], found["name-cut"]["subject"]) == ("ok", "beta")


@pytest.mark.parametrize("count, limit", [(41, 40), (90, 80), (140, 128)])
def test_a_long_list_is_a_warning(examine, servers, remote, count, limit):
    remote.tools = [tool(f"t{number}") for number in range(count - 3)]
    servers({**ALPHA, "expose_tools": True})
    code, found = examine()
    assert (code, list(found)) == (10, ["list-long"])
    assert found["list-long"]["message"].startswith(f"{count} tools are listed natively, which is more than {limit}")
    assert "expose_tools" in found["list-long"]["mend"]


def test_a_tool_that_has_changed_leads_to_approve(run, examine, servers, remote):
    servers(ALPHA)
    assert run("tools")[0] == 0
    remote.tools[0] = tool("echo", "Say it twice")
    assert run("tools")[0] == 0
    code, found = examine()
    assert (code, found["tool-changed"]["subject"]) == (10, "alpha")
    assert found["tool-changed"]["mend"].endswith("mcp-orchestration-gateway approve alpha")


class Gone(MemoryStorage):
    async def get(self, key):
        raise StorageError("no route")


class Silent(MemoryStorage):
    async def get(self, key):
        await anyio.sleep_forever()


@pytest.mark.parametrize("storage, said", [(Gone(), "no route"), (Silent(), "it did not answer within 0.1 s")])
def test_a_storage_that_does_not_answer_is_an_error(examine, servers, monkeypatch, storage, said):
    monkeypatch.setattr("mcp_gateway.control.check.STORAGE_SECONDS", 0.1)
    monkeypatch.setattr(plugins, "INSTALLED", plugins.everything(storage=storage))
    servers({"name": "a", "command": "x", "enabled": False})
    code, found = examine()
    assert (code, list(found)) == (11, ["storage-fails"])
    assert (found["storage-fails"]["subject"], found["storage-fails"]["message"]) == ("STORAGE_BACKEND=memory", said)
