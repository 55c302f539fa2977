"""Secrets: wherever one stands, no error, warning or repr repeats it."""

from __future__ import annotations

import json

import pytest

from mcp_gateway.config.settings import read_environment, read_settings, warn_unknown_variables
from mcp_gateway.plugin import Caller, ConfigError, Credentials
from mcp_gateway.sessions.session_key import SessionKey

from ..support.fake_plugins import everything, providers_of
from ..support.gateway import spec

SECRET = "s3cr3t-Marker"

URL = {"name": "a", "url": "http://x"}
RUN = {"name": "a", "command": "x"}


@pytest.mark.parametrize(
    "entry",
    [
        {**URL, "url": f"ftp://u:{SECRET}@x"},
        {**URL, "auth_type": "static", "auth_headers": SECRET},
        {**URL, "auth_type": "static", "auth_headers": {"Authorization": [SECRET]}},
        {**URL, "auth_type": "static", "auth_headers": {"Authorization": SECRET}, "auth_header_name": [SECRET]},
        {**URL, "auth_headers": {"Authorization": SECRET}},
        {**URL, "auth_heders": {"Authorization": SECRET}},
        {**RUN, "command": {"x": SECRET}},
        {**RUN, "args": f"'{SECRET}"},
        {**RUN, "args": {"token": SECRET}},
        {**RUN, "env": SECRET},
        {**RUN, "env": [SECRET]},
        {**RUN, "token": SECRET},
        {**RUN, "timeout": SECRET},
        {**RUN, "max_retries": SECRET},
        {**RUN, "connection_mode": SECRET},
        {**RUN, "enabled": SECRET},
        {**RUN, "expose_tools": SECRET},
        {**RUN, "description": [SECRET]},
        {**URL, "headers": {"Authorization": SECRET}},
    ],
    ids=",".join,
)
def test_a_wrong_value_in_the_server_file_is_never_printed(read, entry):
    found = read({"servers": [entry]})
    assert [server.name for server in found.disabled] == ["a"]
    assert SECRET not in repr(found)


@pytest.mark.parametrize("key", ["url", "timeout", "connection_mode"])
def test_the_value_of_a_variable_is_never_printed(read, key):
    found = read({"servers": [{**URL, key: "${KEY}"}]}, KEY=SECRET)
    assert [server.name for server in found.disabled] == ["a"]
    assert SECRET not in repr(found)


def test_a_default_of_a_variable_is_never_printed(read):
    found = read(
        {"servers": [{**URL, "url": f"http://${{input:a}}{SECRET}"}, {**RUN, "name": "b", "args": [SECRET, "${NO}"]}]}
    )
    assert len(found.disabled) == 2
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "written",
    [
        f'{{"servers": [{{"name": "a", "auth_headers": {{"X": "{SECRET}" "Y": 1}}}}]}}',
        f'{{"servers": [{{"name": "a", "auth_headers": {{"X": {SECRET}}}}}]}}',
        f'{{"servers": [], /* */ "{SECRET}',
        f'{{"servers": [{{"name": “a”, "env": {{"X": "{SECRET}"}}}}]}}',
        f'{{"mcpServers": {{"a": {{"env": {{"{SECRET}" "X"}}}}}}}}',
        f"mcp_servers.a.env = {{ TOKEN = '{SECRET}' ",
        f"extensions:\n  a: {{env: {{TOKEN: {SECRET}}}\n",
        json.dumps([SECRET]),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_never_quoted(read, written):
    with pytest.raises(ConfigError) as caught:
        read(written)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("written", [{"servers": [SECRET]}, {"mcpServers": {"a": SECRET}}])
def test_an_entry_that_is_no_object_is_never_quoted(read, written):
    found = read(written)
    assert len(found.disabled) == 1
    assert SECRET not in repr(found)


def test_what_the_file_comes_to_does_not_show_its_secrets(read):
    entry = {**URL, "auth_type": "static", "auth_headers": {"X-Key": SECRET}}
    found = read({"servers": [entry, {**RUN, "name": "b", "env": {"TOKEN": SECRET}}]})
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "environ",
    [
        {"GATEWAY_PORT": SECRET, "GATEWAY_TRANSPORT": "http"},
        {"GATEWAY_LOG_LEVEL": SECRET},
        {"GATEWAY_AUTH_MODE": SECRET},
        {"MCP_GATEWAY_TOOL_CACHE_TTL": SECRET},
        {"GATEWAY_AUTH_TOKEN": "s3c", "GATEWAY_TRANSPORT": "http"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_a_wrong_variable_is_named_and_never_printed(environ):
    with pytest.raises(ConfigError) as caught:
        read_settings(environ, providers_of(everything()))
    assert next(iter(environ)) in str(caught.value)
    assert "s3c" not in str(caught.value)


def test_a_stray_variable_is_named_and_never_printed():
    strays = warn_unknown_variables({"GATEWAY_AUTH_TOKNE": SECRET}, providers_of(everything()))
    assert strays == ["environment: nobody reads GATEWAY_AUTH_TOKNE; did you mean 'GATEWAY_AUTH_TOKEN'?"]


def test_who_is_asking_does_not_show_what_he_brought():
    caller = Caller(headers={"authorization": SECRET}, auth_header=SECRET)
    session_key = SessionKey(spec(), Credentials.of({"Authorization": SECRET}), "c")
    assert SECRET not in f"{caller!r} {session_key!r} {Credentials.of({'Authorization': SECRET})!r}"


def test_the_settings_do_not_show_their_secrets():
    environ = {"GATEWAY_AUTH_TOKEN": SECRET, "REDIS_URL": f"redis://:{SECRET}@x", "STORAGE_BACKEND": "redis"}
    settings = read_settings({**environ, "GATEWAY_TRANSPORT": "http"}, providers_of(everything()))
    assert SECRET not in f"{settings!r} {read_environment(environ)!r}"
