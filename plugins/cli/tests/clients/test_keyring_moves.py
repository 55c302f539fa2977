"""Secrets of imported entries: what is one, where it goes, and how it comes back."""

from __future__ import annotations

import json
import sys

import pytest
from mcp_gateway_cli.secrets.patterns import looks_secret
from mcp_gateway_cli.secrets.replacement import replace_secrets

TOKEN, BEARER, FLAGGED = "sk-first-0123456789", "s3cond-and-unknown", "th1rd"
SERVERS = {
    "mail": {"command": "mail", "args": ["--api-key", FLAGGED, "-v"], "env": {"MAIL_TOKEN": TOKEN, "REGION": "eu"}},
    "crm": {"url": "https://crm.example/mcp", "headers": {"Authorization": f"Bearer {BEARER}", "X-Region": "eu"}},
}
NAMES = ["crm.Authorization", "mail.MAIL_TOKEN", "mail.api-key"]

KEYRING = """
from mcp_gateway.plugin import VariableError, VariableSource, hookimpl

GATEWAY_API = 1
kept, refused, failing = {}, set(), []


def ask(function):
    def answer(*arguments):
        if failing or arguments[0] in refused and len(arguments) == 2:
            raise VariableError("the ring is locked; unlock it")
        return function(*arguments)
    return answer


@hookimpl
def mcp_gateway_variable_sources():
    yield VariableSource(
        name="keyring", summary="a ring", explain_missing=lambda key: f"write {key}", read=ask(kept.get),
        write=ask(kept.__setitem__), remove=ask(lambda key: kept.pop(key, None) is not None),
    )
"""


@pytest.fixture
def ring(install, monkeypatch):
    """Install a keyring in memory; return its module, with what is kept, what it refuses, and whether it fails."""
    install("ring", modules={"ring_for_tests": KEYRING}, variables_ring="ring_for_tests")
    monkeypatch.setenv("GATEWAY_PLUGINS", "variables-ring")
    __import__("ring_for_tests")
    return sys.modules["ring_for_tests"]


@pytest.fixture
def home(make_home):
    """Return a home folder in which Cursor has servers with secrets."""
    return make_home({".cursor/mcp.json": json.dumps({"mcpServers": SERVERS})})


def read_own(home):
    """Return the servers of the gateway's file, by name."""
    found = json.loads((home / ".config" / "mcp-orchestration-gateway" / "server_config.json").read_bytes())
    return {server["name"]: server for server in found["servers"]}


def read_all(home):
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name, value",
    [("TOKEN", "a"), ("X-Api-Key", "0123"), ("REGION", "ghp_0123456789"), ("Authorization", "abc"), ("DB_PASS", "x y")],
)
def test_a_secret_is_known_by_its_name_or_by_its_value(name, value):
    assert looks_secret(name, value)


@pytest.mark.parametrize(
    "name, value",
    [
        ("REGION", "eu-west"),
        ("TOKEN", "${TOKEN}"),
        ("TOKEN", " "),
        ("USE_AUTH", "true"),
        ("AUTH_URL", "https://login.example/x"),
        ("MAX_TOKENS", "4096"),
        ("GIT_AUTHOR_NAME", "Jane"),
        ("GOOGLE_CREDENTIALS", __file__),
    ],
)
def test_what_is_no_secret_stays(name, value):
    assert not looks_secret(name, value)


def test_secrets_are_found_wherever_an_entry_may_have_one_and_what_is_around_them_stays():
    entry = {
        "env": {"A_TOKEN": "1a", "N": 7, "REGION": "eu"},
        "auth_headers": {"Authorization": "bearer  2a", "X-Key": "3a", "Accept": "*/*"},
        "args": [
            "-e", "B_SECRET=4a", "--api-key", "5a", "--token=6a", "--header", "Authorization: Bearer 7a", "--header",
            "X-Region:eu", "sk-8a8a8a8a8a", "--author", "me", "--password", "--verbose", "x",
        ],
        "url": "https://x.example/mcp?api_key=9a&page=2",
        "client_secret": "0a",
    }  # fmt: skip
    found = {}
    replaced = replace_secrets(entry, lambda label, value: found.setdefault(value, f"<{label}>"))
    assert found == {
        "1a": "<A_TOKEN>",
        "2a": "<Authorization>",
        "3a": "<X-Key>",
        "4a": "<B_SECRET>",
        "5a": "<api-key>",
        "6a": "<token>",
        "7a": "<Authorization>",
        "sk-8a8a8a8a8a": "<argument>",
        "9a": "<api_key>",
        "0a": "<client_secret>",
    }
    assert replaced == {
        "env": {"A_TOKEN": "<A_TOKEN>", "N": 7, "REGION": "eu"},
        "auth_headers": {"Authorization": "bearer  <Authorization>", "X-Key": "<X-Key>", "Accept": "*/*"},
        "args": [
            "-e", "B_SECRET=<B_SECRET>", "--api-key", "<api-key>", "--token=<token>", "--header",
            "Authorization: Bearer <Authorization>", "--header", "X-Region:eu", "<argument>", "--author", "me",
            "--password", "--verbose", "x",
        ],
        "url": "https://x.example/mcp?api_key=<api_key>&page=2",
        "client_secret": "<client_secret>",
    }  # fmt: skip


def test_secrets_go_into_the_keyring_and_undo_brings_everything_back(home, ring, run):
    before = read_all(home)
    code, out, err = run("init", "--yes", "--no-try", "--secrets", "keyring")
    assert code == 0, err
    assert ring.kept == dict(zip(NAMES, [BEARER, TOKEN, FLAGGED], strict=True))
    own = read_own(home)
    assert own["mail"]["env"] == {"MAIL_TOKEN": "${keyring:mail.MAIL_TOKEN}", "REGION": "eu"}
    assert own["mail"]["args"] == ["--api-key", "${keyring:mail.api-key}", "-v"]
    assert own["crm"]["auth_headers"] == {"Authorization": "Bearer ${keyring:crm.Authorization}", "X-Region": "eu"}
    assert not [secret for secret in (TOKEN, BEARER, FLAGGED) if secret in out + err]
    assert "3 secrets moved into the system keyring" in out
    code, out, err = run("undo")
    assert (code, ring.kept, read_all(home)) == (0, {}, before), err


def test_a_dry_run_names_what_would_be_moved_and_moves_nothing(home, ring, run):
    before = read_all(home)
    code, out, _ = run("init", "--dry-run", "--secrets", "keyring", "--json")
    (change,) = [change for change in json.loads(out)["changes"] if change["secrets"]]
    assert (code, sorted(change["secrets"]), ring.kept) == (0, NAMES, {})
    assert "mail.MAIL_TOKEN: goes into the system keyring" in run("init", "--dry-run", "--secrets", "keyring")[1]
    assert read_all(home) == before


@pytest.mark.parametrize("choice", [(), ("--secrets", "keep")])
def test_secrets_stay_where_they_are_unless_a_person_says_otherwise(home, ring, run, choice):
    assert run("init", "--yes", "--no-try", *choice)[0] == 0
    assert read_own(home)["mail"]["env"]["MAIL_TOKEN"] == TOKEN
    assert ring.kept == {}


@pytest.mark.parametrize("verb", [("init", "--yes"), ("import", "cursor")])
def test_a_keyring_that_does_not_answer_changes_nothing(home, ring, run, verb):
    before = read_all(home)
    ring.failing.append(True)
    code, out, err = run(*verb, "--no-try", "--secrets", "keyring")
    assert (code, "the ring is locked; unlock it" in err) == (1, True), out + err
    assert read_all(home) == before


@pytest.mark.parametrize("verb", [("init", "--yes"), ("import", "cursor")])
def test_a_keyring_that_takes_only_some_is_left_as_it_was(home, ring, run, verb):
    before = read_all(home)
    ring.refused.add(NAMES[0])
    code, out, err = run(*verb, "--no-try", "--secrets", "keyring")
    assert (code, "the ring is locked; unlock it" in out + err) == (1, True)
    assert (ring.kept, read_all(home)) == ({}, before)


def test_secrets_go_out_of_the_keyring_again_if_the_file_cannot_be_written(home, ring, run):
    own = home / ".config" / "mcp-orchestration-gateway" / "server_config.json"
    own.parent.mkdir(parents=True)
    own.write_text('{"servers": []}')
    own.chmod(0o444)
    assert run("init", "--yes", "--no-try", "--secrets", "keyring")[0] == 1
    assert ring.kept == {}


def test_without_the_plugin_it_is_said_what_to_install(home, install, monkeypatch, run):
    install("ring", modules={"ring_for_tests": "GATEWAY_API = 1"}, variables_ring="ring_for_tests")
    monkeypatch.setenv("GATEWAY_PLUGINS", "variables-ring")
    code, _, err = run("init", "--yes", "--no-try", "--secrets", "keyring")
    assert code == 1
    assert "no variable source is called 'keyring'; installed: none;" in err


def test_a_server_whose_secrets_were_moved_is_known_again(home, ring, run):
    assert run("import", "cursor", "--no-try", "--secrets", "keyring")[0] == 0
    assert "nothing new to import" in run("import", "cursor", "--no-try", "--secrets", "keyring")[1]
    assert set(read_own(home)) == {"mail", "crm"}


def test_a_server_is_not_imported_once_more_while_the_keyring_does_not_answer(home, ring, run):
    assert run("import", "cursor", "--no-try", "--secrets", "keyring")[0] == 0
    before = read_all(home)
    ring.failing.append(True)
    code, _, err = run("import", "cursor", "--no-try")
    assert (code, read_all(home)) == (1, before)
    assert "the ring is locked; unlock it" in err


def test_another_secret_of_the_same_name_gets_a_name_of_its_own_and_is_left_by_undo(home, ring, run):
    ring.kept.update({"mail.MAIL_TOKEN": "somebody's", "crm.Authorization": BEARER})
    assert run("import", "cursor", "--no-try", "--secrets", "keyring")[0] == 0
    assert read_own(home)["mail"]["env"]["MAIL_TOKEN"] == "${keyring:mail.MAIL_TOKEN-2}"
    assert ring.kept["mail.MAIL_TOKEN-2"] == TOKEN
    assert run("undo")[0] == 0
    assert ring.kept == {"mail.MAIL_TOKEN": "somebody's", "crm.Authorization": BEARER}


def test_what_a_keyring_does_not_give_back_is_named_and_the_files_are_restored(home, ring, run):
    before = read_all(home)
    assert run("init", "--yes", "--no-try", "--secrets", "keyring")[0] == 0
    ring.failing.append(True)
    code, _, err = run("undo")
    assert (code, read_all(home)) == (1, before)
    assert "the secret 'mail.MAIL_TOKEN' stays in the system keyring: the ring is locked; unlock it" in err


def test_the_list_of_servers_shows_the_variable_and_not_the_value(home, ring, run):
    assert run("import", "cursor", "--no-try", "--secrets", "keyring")[0] == 0
    code, out, err = run("list")
    assert (code, FLAGGED in out + err) == (0, False)
    assert "mail --api-key ${keyring:mail.api-key} -v" in out
