"""What `doctor` finds in the files of other programs."""

from __future__ import annotations

import json

import pytest

GATEWAY = {"command": "mcp-orchestration-gateway"}
ALPHA = {"name": "alpha", "transport": "memory"}


@pytest.fixture
def find(run, home, servers):
    """Write Cursor's file, and examine; return the exit code and the findings on that file, by code."""

    def find_faults(entries):
        servers(ALPHA)
        (home / ".cursor").mkdir(exist_ok=True)
        text = entries if isinstance(entries, str) else json.dumps({"mcpServers": entries})
        (home / ".cursor" / "mcp.json").write_text(text, encoding="utf-8")
        code, out, _ = run("doctor", "--json")
        findings = json.loads(out)["findings"]
        return code, {one["code"]: one for one in findings if one["subject"] == "~/.cursor/mcp.json"}

    return find_faults


def test_a_server_that_the_gateway_has_too_is_a_warning(find):
    code, found = find({"gateway": GATEWAY, "alpha": {"command": "x"}})
    assert (code, list(found)) == (10, ["client-has-both"])
    assert found["client-has-both"]["message"] == (
        "Cursor starts the gateway, and besides these of its servers: alpha; its model has each of their tools twice"
    )
    assert "mcp-orchestration-gateway init" in found["client-has-both"]["mend"]


def test_other_servers_beside_the_gateway_are_a_remark(find):
    code, found = find({"gateway": GATEWAY, "other": {"command": "x"}})
    assert (code, list(found)) == (0, ["client-has-more"])
    assert found["client-has-more"]["message"].endswith("servers of its own: other")


@pytest.mark.parametrize("entries", [{"gateway": GATEWAY}, {"alpha": {"command": "x"}}], ids=["alone", "without"])
def test_the_gateway_alone_or_a_program_without_it_is_well(find, entries):
    assert find(entries) == (0, {})


def test_a_file_that_the_program_itself_cannot_read_is_a_warning(find):
    code, found = find('{"mcpServers": [')
    assert (code, list(found)) == (10, ["client-file-broken"])
