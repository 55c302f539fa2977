"""What is typed in place of a URL or a program, and is neither."""

from __future__ import annotations

import pytest
from mcp_gateway_cli.entries.new_entry import make_entry
from mcp_gateway_cli.entries.target import describe_mistake, is_url

from mcp_gateway.plugin import UsageError

MEANT = {
    "htp://foo": "http://foo",
    "htps://foo/mcp": "https://foo/mcp",
    "HTTPS:/foo": "https://foo",
    "http:foo/mcp": "http://foo/mcp",
    "https//foo": "https://foo",
    "http:///foo": "http://foo",
    "example.com/mcp": "https://example.com/mcp",
    "api.example.com:8080": "https://api.example.com:8080",
    "example.com:8080/mcp": "https://example.com:8080/mcp",
    "10.0.0.1:80/mcp": "https://10.0.0.1:80/mcp",
    "localhost:8000/mcp": "http://localhost:8000/mcp",
    "127.0.0.1:8000": "http://127.0.0.1:8000",
    "[::1]:8000/mcp": "http://[::1]:8000/mcp",
    "[2001:db8::1]/mcp": "https://[2001:db8::1]/mcp",
    "htp://me:s3cr3t@foo/?key=s3cr3t": "http://…@foo/?…",
    "example.com/mcp?key=s3cr3t": "https://example.com/mcp?…",
}

PROGRAMS = (
    "prog",
    "uvx",
    "server.js",
    "example.com",
    "dist/server.js",
    "./example.com/mcp",
    "../example.com/mcp",
    "/example.com/mcp",
    "~/example.com/mcp",
    "node_modules/.bin/server",
    "v1.2/run",
    "C:/tools/server.exe",
    "C:\\tools\\server.exe",
    "@scope/server",
    "${HOME}/server",
    "host:name",
    "no such program",
    "unclosed 'quote",
)


@pytest.mark.parametrize("typed", MEANT)
def test_a_mistyped_url_is_said_with_the_right_one(typed):
    said = describe_mistake(typed)
    assert said.endswith(f"did you mean {MEANT[typed]!r}?"), said
    assert "s3cr3t" not in said


@pytest.mark.parametrize("typed", PROGRAMS)
def test_what_may_be_a_program_is_none(typed):
    assert (describe_mistake(typed), is_url(typed)) == ("", False)


@pytest.mark.parametrize("scheme", ["http", "https", "unix", "http+unix", "HTTPS"])
def test_what_is_a_url_is_no_mistake(scheme):
    assert (describe_mistake(f"{scheme}://h/mcp"), is_url(f"{scheme}://h/mcp")) == ("", True)


@pytest.mark.parametrize("scheme", ["ws", "file", "carrier"])
def test_a_scheme_that_is_like_none_comes_with_those_that_are_known(scheme):
    said = describe_mistake(f"{scheme}://h/mcp")
    assert said == f"no server has a URL that begins with {scheme}://; known: http, https, unix, http+unix"


def test_a_program_that_is_there_is_none_whatever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert describe_mistake("example.com/mcp")
    (tmp_path / "example.com").mkdir()
    (tmp_path / "example.com" / "mcp").touch()
    assert describe_mistake("example.com/mcp") == ""


def test_a_command_line_in_quotes_is_said_without_them(tmp_path, monkeypatch):
    (tmp_path / "prog").touch(mode=0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = describe_mistake("prog --token s3cr3t 'a b'")
    assert said.endswith("did you mean, without quotes around it: -- prog --token '***' 'a b'")
    (tmp_path / "prog x").touch(mode=0o700)
    assert describe_mistake("prog x") == ""


@pytest.mark.parametrize("transport", [None, "http", "sse"])
def test_an_address_without_a_scheme_makes_no_entry(transport):
    with pytest.raises(UsageError, match=r"^add x: there is no program 'example\.com/mcp'; did you mean"):
        make_entry("x", ["example.com/mcp"], transport)


def test_what_is_said_to_be_a_program_is_one():
    assert make_entry("x", ["example.com/mcp"], "stdio") == {"command": "example.com/mcp"}
    assert make_entry("x", ["example.com/mcp", "-y"])["args"] == ["-y"]


@pytest.mark.parametrize(
    "typed",
    ["unix:///run/mcp.sock#/mcp", "unix:///run/mcp.sock#mcp", "unix:/run/mcp.sock#/mcp", "UNIX:/run/mcp.sock#mcp"],
)
def test_a_socket_is_written_in_the_form_that_every_file_takes(typed):
    assert make_entry("x", [typed])["url"] == "http+unix://%2Frun%2Fmcp.sock/mcp"
