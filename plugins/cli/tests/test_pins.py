"""`pins` and `approve` on the command line."""

from __future__ import annotations

import json

from core.tests.pinning.test_policy import EVIL, READ
from core.tests.support.fake_servers import tool


def test_the_commands_show_what_has_changed_and_approve_it(run, servers, remote):
    servers({"name": "alpha", "transport": "memory"})
    remote.tools = [READ, tool("write", "Writes")]
    assert run("tools")[0] == 0
    remote.tools = [EVIL, tool("write", "Writes more")]
    assert run("tools")[0] == 0
    code, said, _ = run("pins")
    assert code == 0
    assert "alpha: 2 tools pinned, 2 changed" in said
    assert "read has changed: description was 'Reads a file' and is" in said
    assert "read is suspicious: wants-secrets" in said
    assert json.loads(run("pins", "--json")[1])["servers"]["alpha"]["read"]["suspicious"] == ["wants-secrets"]
    assert "tool 'read' has changed" in run("check")[1]
    code, said, _ = run("approve", "alpha", "write")
    assert (code, said.splitlines()[0]) == (0, "approved: write: description was 'Writes' and is 'Writes more'")
    assert "alpha: 2 tools pinned, 1 changed" in run("pins")[1]
    code, out, err = run("approve", "alpha", "--json")
    approved = json.loads(out)
    assert (code, approved["server"], list(approved["approved"]), err) == (0, "alpha", ["read"], "")
    assert approved["approved"]["read"].startswith("description was 'Reads a file' and is")
    code, _, complaint = run("approve", "alpha")
    assert (code, "nothing of server 'alpha' waits" in complaint) == (1, True)
    assert "nothing of tool 'read' of server 'alpha' waits" in run("approve", "alpha", "read")[2]
    assert "there is no server 'alpa'; did you mean 'alpha'? servers: alpha" in run("approve", "alpa")[2]
    assert "there is no server 'zzz'; servers: alpha" in run("approve", "zzz")[2]
    assert "nothing of tool 'read' of server 'alpha' waits" in run("approve", "alpha", "alpha__read")[2]
    for name in ("raed", "alpha__raed"):
        said = "server 'alpha' has no pinned tool 'raed'; did you mean 'read'? see mcp-orchestration-gateway pins"
        assert said in run("approve", "alpha", name)[2]


def test_a_server_that_is_switched_off_is_said_to_be_so(run, servers):
    servers({"name": "off", "transport": "memory", "enabled": False}, {"name": "bad", "args": []})
    said = "server 'off' is disabled: \"enabled\" is false; to switch it on: mcp-orchestration-gateway enable off\n"
    assert run("approve", "off")[2].endswith(said)
    assert "server 'bad' is not used: it needs \"command\"" in run("approve", "bad")[2]
