"""What serving needs that the core does not have."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def test_only_the_command_line_shares_a_gateway_and_the_core_says_so(tmp_path):
    pytest.importorskip("mcp_gateway_transport_stdio")
    variables = {"GATEWAY_SHARED": "1", "SERVER_CONFIG_PATH": str(tmp_path / "none.json")}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "mcp_gateway.main"],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "GATEWAY_SHARED: only the command mcp-orchestration-gateway can (mcp-gateway-cli)" in ended.stderr
