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
    assert found["client-has-more"]["message"] == (
        "Cursor starts the gateway, and besides servers of its own: other; mcp-orchestration-gateway init moves those "
        "that work"
    )
    assert found["client-has-more"]["mend"] == ""


UNMOVABLE = {
    "an input": (
        "VS Code",
        ".config/Code/User/mcp.json",
        {"servers": {"gateway": GATEWAY, "own": {"command": "x", "env": {"KEY": "${input:key}"}}}},
        "only that program can ask for its input 'key'",
    ),
    "an open folder": (
        "Cursor",
        ".cursor/mcp.json",
        {"mcpServers": {"gateway": GATEWAY, "own": {"command": "x", "args": ["${workspaceFolder}"]}}},
        "only that program knows its folder, ${workspaceFolder}",
    ),
    "an extension": (
        "Zed",
        ".config/zed/settings.json",
        {"context_servers": {"gateway": GATEWAY, "own": {"source": "extension", "settings": {}}}},
        "it is an extension of that program, which only that program can start",
    ),
    "a broken entry": (
        "Cursor",
        ".cursor/mcp.json",
        {"mcpServers": {"gateway": GATEWAY, "own": {"args": []}}},
        """it needs "command", the program to start (stdio), or "url", where it is (HTTP)""",
    ),
}


@pytest.mark.parametrize("kind", UNMOVABLE)
def test_a_server_that_cannot_be_moved_is_told_with_the_reason_and_without_init(run, home, servers, monkeypatch, kind):
    title, place, written, reason = UNMOVABLE[kind]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    servers(ALPHA)
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    (home / place).write_text(json.dumps(written), encoding="utf-8")
    code, out, _ = run("doctor", "--json")
    found = [one for one in json.loads(out)["findings"] if one["subject"] == f"~/{place}"]
    said = f"{title} has own beside the gateway, which cannot be moved there: {reason}"
    assert [(one["code"], one["severity"], one["message"], one["mend"]) for one in found] == [
        ("client-has-more", "ok", said, "")
    ]
    assert code == 0
    left_out = json.loads(run("init", "--dry-run", "--json")[1])["left_out"]
    assert [(each["name"], each["reason"].startswith(reason)) for each in left_out] == [("own", True)]


def test_one_of_the_same_name_that_cannot_be_moved_is_to_be_removed(find):
    code, found = find({"gateway": GATEWAY, "alpha": {"args": []}, "other": {"command": "x"}})
    assert (code, list(found)) == (10, ["client-has-both", "client-has-more"])
    assert found["client-has-both"]["mend"] == "remove them there"


@pytest.mark.parametrize("entries", [{"gateway": GATEWAY}, {"alpha": {"command": "x"}}], ids=["alone", "without"])
def test_the_gateway_alone_or_a_program_without_it_is_well(find, entries):
    assert find(entries) == (0, {})


def test_a_file_that_the_program_itself_cannot_read_is_a_warning(find):
    code, found = find('{"mcpServers": [')
    assert (code, list(found)) == (10, ["client-file-broken"])
