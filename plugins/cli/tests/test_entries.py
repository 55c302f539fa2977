"""`add`, `remove`, `enable`, `disable`, `list`: the file is edited as a person would."""

from __future__ import annotations

import http.server
import json
import os
import re
import threading

import pytest
from mcp_gateway_cli.commands.entries.list_servers import describe_target
from mcp_gateway_cli.entries.new_entry import make_entry, to_client_form

from mcp_gateway.plugin import UsageError

NATIVE = """{
  // mine
  "servers": [
    {"name": "a", "command": "x"}, // the first
    {"name": "b", "url": "http://127.0.0.1:1/mcp", "enabled": false}
  ]
}
"""
CLIENTS = """{
  "mcpServers": {
    /* mine */
    "a": { "command": "x" },
    "b": { "url": "http://127.0.0.1:1/mcp", "disabled": true }
  },
  "other": 1
}
"""
TOML = """# mine
[mcp_servers.a]
command = "x" # the first

[mcp_servers.b]
url = "http://127.0.0.1:1/mcp"
enabled = false
"""
YAML = """# mine
mcpServers:
  a:
    command: x  # the first
  b:
    url: http://127.0.0.1:1/mcp
    disabled: true
"""
FORMS = {"native.json": NATIVE, "clients.json": CLIENTS, "codex.toml": TOML, "any.yaml": YAML}


@pytest.fixture(params=list(FORMS))
def file(request, tmp_path, monkeypatch, installed):
    path = tmp_path / request.param
    path.write_text(FORMS[request.param], encoding="utf-8")
    monkeypatch.setenv("SERVER_CONFIG_PATH", str(path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return path


def listed(run):
    return {one["name"]: one for one in json.loads(run("list", "--json")[1])["servers"]}


def test_what_is_added_and_removed_leaves_the_file_as_it_was(run, file):
    before = file.read_text(encoding="utf-8")
    code, out, err = run("add", "c", "--no-try", "-e", "K=v w", "--", "prog", "-y", "--env", "q")
    assert (code, err) == (0, ""), err
    assert str(file) in out
    assert listed(run)["c"] == {"name": "c", "enabled": True, "kind": "command", "target": "prog -y --env q"}
    assert "mine" in file.read_text(encoding="utf-8")
    assert set(listed(run)) == {"a", "b", "c"}
    assert run("remove", "c")[0] == 0
    assert file.read_text(encoding="utf-8") == before


def test_one_server_of_the_file_is_listed(run, file):
    code, out, err = run("list", "b")
    assert (code, [line.split()[0] for line in out.splitlines()], err) == (0, ["b", "in"], "")
    assert [one["name"] for one in json.loads(run("list", "a", "--json")[1])["servers"]] == ["a"]
    assert run("list", "c") == (1, "", f"mcp-orchestration-gateway: {file} has no server 'c'; servers: a, b\n")


def test_a_url_is_added_with_its_headers(run, file):
    code, out, err = run("add", "c", "http://127.0.0.1:1/mcp?k=1", "-H", "X-Key: s3cr3t", "--no-try", "--json")
    assert code == 0, err
    assert json.loads(out) == {"added": "c", "file": str(file), "trial": None}
    shown = run("list")[1]
    assert "http://127.0.0.1:1/mcp" in shown
    assert "s3cr3t" not in shown
    assert "k=1" not in shown
    assert "s3cr3t" in file.read_text(encoding="utf-8")
    assert run("check")[0] == 0, run("check")


def test_a_server_is_switched_and_the_rest_stays(run, file):
    before = file.read_text(encoding="utf-8")
    assert listed(run)["b"]["enabled"] is False
    assert run("disable", "a")[0] == 0
    assert listed(run)["a"]["enabled"] is False
    assert run("enable", "a")[0] == 0
    assert file.read_text(encoding="utf-8") == before
    assert run("enable", "b")[0] == 0
    assert listed(run)["b"]["enabled"] is True
    assert "mine" in file.read_text(encoding="utf-8")
    code, out, _ = run("enable", "b", "--json")
    assert (code, json.loads(out)["changed"]) == (0, False)


def test_what_is_there_is_replaced_only_by_force(run, file):
    code, _, err = run("add", "a", "--no-try", "--", "y")
    assert (code, "--force replaces it" in err) == (1, True)
    assert run("add", "a", "--force", "--no-try", "--", "y")[0] == 0
    assert listed(run)["a"]["target"] == "y"


@pytest.fixture(params=list(FORMS))
def tried(request, tmp_path, monkeypatch):
    """Write a file whose servers are really started."""
    path = tmp_path / request.param
    path.write_text(FORMS[request.param], encoding="utf-8")
    monkeypatch.setenv("SERVER_CONFIG_PATH", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return path


def test_what_does_not_work_is_left_out_and_a_second_try_needs_no_force(run, tried):
    before = tried.read_bytes()
    for command in ("no-such-command", "no-such-command-either"):
        code, out, err = run("add", "c", "--", command)
        assert (code, out, tried.read_bytes()) == (1, "", before)
        trying, failed, _ = err.split("\n", 2)
        assert re.fullmatch(r"trying c, for \d+ s at most; Ctrl-C ends it, and adds nothing", trying)
        assert failed.startswith(
            f"mcp-orchestration-gateway: c is not added, because it does not work: its command {command!r} is not found"
        )
        assert err.endswith("\n--no-try adds it all the same\n")
    assert run("undo", "--list")[1].startswith("there is nothing to undo for ")
    code, out, err = run("add", "c", "--json", "--", "no-such-command")
    failed = json.loads(out)
    assert (code, err, failed["added"], failed["trial"]["ok"], failed["success"]) == (1, "", None, False, False)
    assert run("add", "c", "--no-try", "--", "no-such-command")[0] == 0
    assert listed(run)["c"]["target"] == "no-such-command"


class Locked(http.server.BaseHTTPRequestHandler):
    """A server that wants credentials, and takes none."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.send_error(405)

    def log_message(self, *_):
        pass


@pytest.fixture
def locked():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Locked) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/mcp"
        server.shutdown()
        thread.join()


def test_a_server_that_wants_credentials_is_told_from_one_that_refuses_them(run, tried, locked):
    code, _, err = run("add", "c", locked)
    assert (code, "it does not work: it wants credentials: HTTP 401 Unauthorized; " in err) == (1, True), err
    assert "add gives it a token with -H 'Authorization: Bearer ...', or a login with --auth-type oauth" in err
    code, _, err = run("add", "c", locked, "-H", "Authorization: Bearer s3cr3t")
    refused = "it refused the credentials: HTTP 401 Unauthorized; correct its auth_headers, or the -H of "
    assert (code, refused in err) == (1, True), err
    assert "c" not in listed(run)


def test_a_server_with_a_login_is_added_before_anybody_logs_in(run, tried, locked):
    code, out, err = run("add", "c", locked, "--auth-type", "oauth")
    assert (code, out.splitlines()[1:]) == (0, ["server 'c' needs a login: mcp-orchestration-gateway login c"]), err
    code, out, _ = run("add", "c", locked, "--auth-type", "oauth", "--force", "--json")
    assert (code, json.loads(out)["added"], json.loads(out)["trial"]["ok"]) == (0, "c", False)
    assert "needs login" in run("servers", "--start")[1]


def test_a_way_to_credentials_that_nothing_offers_is_refused(run, tried):
    code, _, err = run("add", "c", "http://127.0.0.1:1/mcp", "--auth-type", "oaut", "--no-try")
    assert (code, "did you mean 'oauth'?" in err) == (1, True), err


UNSET = {
    "TOKEN=${NOT_SET_HERE}": "the environment variable NOT_SET_HERE is not set",
    "TOKEN=${file:none.txt}": "${file:none.txt}: there is no such file, or it is larger than 1 MiB",
    "TOKEN=${volt:x}": "${volt:x}: no variable source is called 'volt'",
}


@pytest.mark.parametrize("pair", UNSET)
def test_a_value_that_is_missing_now_is_no_reason_against_adding_it_untried(run, file, pair):
    before = file.read_bytes()
    code, out, err = run("add", "new", "-e", pair, "--", "true")
    assert (code, out, file.read_bytes()) == (1, "", before)
    beginning = f"mcp-orchestration-gateway: new is not added, because it cannot be used: {UNSET[pair]}"
    assert err.startswith(beginning)
    assert err.endswith("; --no-try adds it all the same\n")
    code, out, err = run("add", "new", "-e", pair, "--no-try", "--", "true")
    assert (code, out.startswith("added new to "), "new" in file.read_text(encoding="utf-8")) == (0, True, True)
    assert err.startswith(f"note: it cannot be used yet: {UNSET[pair]}")
    assert run("remove", "new")[0] == 0
    assert file.read_bytes() == before


def test_what_no_value_would_mend_is_never_added(run, file):
    before = file.read_bytes()
    for more in ((), ("--no-try",)):
        code, out, err = run("add", "new", "-e", "TOKEN=${config:x}", *more, "--", "true")
        assert (code, out, file.read_bytes()) == (1, "", before)
        assert "new is not added, because it cannot be used: ${config:x} is not a variable" in err
        assert "--no-try" not in err


def test_a_server_is_not_replaced_by_one_that_does_not_work(run, tried):
    before = tried.read_bytes()
    assert run("add", "a", "--force", "--", "no-such-command")[0] == 1
    assert tried.read_bytes() == before


def test_a_file_that_cannot_be_written_is_said_before_anything_is_tried(run, tried):
    tried.chmod(0o444)
    code, out, err = run("add", "c", "--", "no-such-command")
    assert (code, out) == (1, "")
    assert err == f"mcp-orchestration-gateway: {tried}: it is read-only; make it writable (chmod u+w)\n"


@pytest.fixture
def server_file(tmp_path, monkeypatch, installed):
    path = tmp_path / "clients.json"
    monkeypatch.setenv("SERVER_CONFIG_PATH", str(path))
    monkeypatch.setenv("OFF", "false")
    return path


@pytest.mark.parametrize(
    "switch, is_on",
    [
        ({}, True),
        ({"disabled": "yes"}, False),
        ({"disabled": 1}, False),
        ({"isDisabled": True}, False),
        ({"enabled": "false"}, False),
        ({"active": False}, False),
        ({"enabled": "perhaps"}, False),
        ({"disabled": False, "isActive": True}, True),
        ({"disabled": "${OFF}"}, True),
    ],
)
def test_a_switch_is_read_and_turned_as_when_serving(run, server_file, switch, is_on):
    server_file.write_text(json.dumps({"mcpServers": {"a": {"command": "x", **switch}}}), encoding="utf-8")
    served = json.loads(run("check", "--json")[1])["servers"]
    assert (listed(run)["a"]["enabled"], served == ["a"]) == (is_on, is_on)
    for verb, state in (("disable", False), ("enable", True)):
        assert run(verb, "a")[0] == 0
        assert listed(run)["a"]["enabled"] is state
        assert (json.loads(run("check", "--json")[1])["servers"] == ["a"]) is state


@pytest.mark.parametrize("verb", ["remove", "enable", "disable"])
def test_a_name_that_is_not_there_is_said_with_the_nearest(run, file, verb):
    code, _, err = run(verb, "aa")
    assert (code, f"{file} has no server 'aa'" in err) == (1, True)


def test_a_file_with_a_mistake_is_left_alone(run, file):
    file.write_text(file.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    broken = file.read_text(encoding="utf-8")
    if file.suffix in (".json", ".toml"):
        code, _, err = run("add", "c", "--no-try", "--", "x")
        assert (code, str(file) in err) == (1, True)
        assert file.read_text(encoding="utf-8") == broken


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_cannot_be_written_is_named(run, file):
    file.chmod(0o444)
    code, _, err = run("remove", "a")
    assert (code, str(file) in err) == (1, True)


@pytest.mark.parametrize(
    "words, transport, env, headers, message",
    [
        ((), None, (), (), "what is it?"),
        (("http://x",), "stdio", (), (), "is a URL, so not --transport stdio"),
        (("prog",), "sse", (), (), "is no URL, so not --transport sse"),
        (("prog",), None, ("K",), (), "'K' is not of the form -e KEY=VALUE"),
        (("prog",), None, (), ("A: b",), "a process gets no headers"),
        (("http://x", "y"), None, (), (), "nothing follows a URL"),
        (("http://x",), None, ("K=v",), (), "a URL gets no environment"),
        (("http://x",), None, (), ("Token s3cr3t",), "is not of the form -H"),
    ],
)
def test_words_that_make_no_entry_are_said(words, transport, env, headers, message):
    with pytest.raises(UsageError, match="add x: ") as caught:
        make_entry("x", words, transport, env=env, headers=headers)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "words, headers, message",
    [(["prog"], (), "a process gets no headers and no login"), (["http://x"], ("A: b",), "so not --auth-type oauth")],
)
def test_a_login_is_for_urls_without_headers(words, headers, message):
    with pytest.raises(UsageError, match=message):
        make_entry("x", words, headers=headers, auth_type="oauth")


@pytest.mark.parametrize("name", ["", "a__b", "a b", "-x", "ä"])
def test_a_name_that_no_server_can_have_is_refused(name):
    with pytest.raises(UsageError, match="cannot be a server's name"):
        make_entry(name, ["prog"])


def test_an_entry_has_what_was_typed():
    assert make_entry("x", ["p", "-a", "b"], env=["K=v=w"]) == {
        "command": "p",
        "args": ["-a", "b"],
        "env": {"K": "v=w"},
    }
    by_url = make_entry("x", ["https://h/mcp"], "sse", headers=["A:  b: c "])
    assert by_url == {
        "url": "https://h/mcp",
        "transport": "sse",
        "auth_type": "static",
        "auth_headers": {"A": "b: c"},
    }
    assert to_client_form(by_url) == {"type": "sse", "url": "https://h/mcp", "headers": {"A": "b: c"}}


@pytest.mark.parametrize(
    "keys, target",
    [
        ({"url": "https://user:pw@h:8/a?token=s3cr3t#f"}, "https://h:8/a"),
        ({"url": "http://[broken"}, "(a URL that cannot be read)"),
        ({"url": "token=s3cr3t"}, "(a URL that cannot be read)"),
        ({"url": 7}, "(a URL that cannot be read)"),
        ({"url": "unix:///run/server.sock"}, "unix:///run/server.sock"),
        ({"url": "http+unix://%2Frun%2Fs.sock/mcp"}, "http+unix://%2Frun%2Fs.sock/mcp"),
        ({"command": {"a": "s3cr3t"}}, ""),
        ({"command": ["a", "b"]}, "a b"),
        ({"command": "a", "args": ["--api-key", "sk-abcdefghijklmnopqrstuvwxyz123456"]}, "a --api-key ***"),
        ({}, ""),
    ],
)
def test_what_may_be_secret_is_not_shown(keys, target):
    shown = describe_target(keys)["target"]
    assert "s3cr3t" not in shown
    assert "abcdefghijklmnop" not in shown
    if "***" not in target:
        assert shown == target
