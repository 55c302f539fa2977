"""Errors name an option that was typed, and a variable that was set."""

from __future__ import annotations

import socket
import subprocess
import sys
from argparse import Namespace

import pytest
from mcp_gateway_cli.variable_options import read_overrides
from mcp_gateway_cli.verbs import SERVE, VERBS

ADD = next(command for command in VERBS if command.name == "add")


@pytest.mark.parametrize(
    "typed, reason",
    [
        (("--port", "abc", "--transport", "http"), "--port: it must be a whole number"),
        (("--port", "99999", "--transport", "http"), "--port: it must be 65535 or less"),
        (("--host", "127.0.0.1"), "--host: nothing listens there with the transport 'stdio'; add --transport http"),
        (("--transport", "carrier"), "--transport: no server transport is called 'carrier'; installed: "),
    ],
)
def test_the_wrong_value_of_an_option_is_a_wrong_command_line(run, servers, typed, reason):
    servers()
    code, out, err = run("serve", *typed)
    assert (code, out) == (2, "")
    assert err.startswith(f"mcp-orchestration-gateway: {reason}")


def test_a_variable_that_was_set_is_named_and_no_option(run, servers, monkeypatch):
    servers()
    monkeypatch.setenv("GATEWAY_PORT", "abc")
    code, _, err = run("serve", "--transport", "http")
    assert (code, err) == (1, "mcp-orchestration-gateway: environment: GATEWAY_PORT: it must be a whole number\n")


def test_a_port_that_is_taken_is_named_as_typed_with_its_owner(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        typed = ["serve", "--transport", "http", "--host", "127.0.0.1", "--port", port]
        command = [sys.executable, "-m", "mcp_gateway.main", *typed]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert told.startswith(f"mcp-orchestration-gateway: cannot listen at 127.0.0.1:{port}: ")
    assert "; choose another --port (" in told
    assert told.endswith("listens there already)")


@pytest.mark.parametrize("command, overrides", [(SERVE, {"GATEWAY_TRANSPORT": "sse"}), (ADD, {})])
def test_the_transport_of_a_server_is_not_that_of_the_gateway(command, overrides):
    assert read_overrides(command, Namespace(transport="sse")) == overrides
