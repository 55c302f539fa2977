"""Trials of an import: what fails stays where it is, with a reason, and the rest is estimated."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway_cli.clients.imports import ImportedServer, ImportPlan, Origin
from mcp_gateway_cli.clients.trial import Savings, keep_usable

from mcp_gateway.control.trials import Trial, count_characters
from mcp_gateway.protocol.implementation import NAME

ORIGIN = Origin("Cursor", Path("/mcp.json"), ("mcpServers",), "Mail")


@pytest.mark.parametrize(
    "reason, said",
    [
        ("server 'mail' is not available: it closed the connection", "it closed the connection"),
        ("server 'mail': url: it is no URL", "url: it is no URL"),
        ("its name is taken", "its name is taken"),
        (
            "server 'mail' needs a login: mcp-orchestration-gateway login mail",
            f"it wants a login of the gateway's own: import it with --no-try, then type {NAME} login mail",
        ),
    ],
)
def test_what_fails_is_left_out_with_its_reason(reason, said):
    mail, notes = ImportedServer({"name": "mail"}, (ORIGIN,)), ImportedServer({"name": "notes"}, (ORIGIN,))
    trials = {
        "mail": Trial("mail", ok=False, seconds=1, reason=reason),
        "notes": Trial("notes", ok=True, seconds=1),
    }
    plan = keep_usable(ImportPlan((mail, notes)), trials)
    assert plan.servers == (notes,)
    assert [(item.origin, item.reason) for item in plan.left_out] == [(ORIGIN, said)]


def test_only_what_a_model_reads_of_a_tool_is_counted():
    tool = {"name": "a", "description": "b", "inputSchema": {}, "outputSchema": {"type": "object"}, "_meta": {"x": 1}}
    assert count_characters(tool) == len('{"name":"a","description":"b","inputSchema":{}}')


def test_savings_are_never_less_than_none():
    assert (Savings(1, 100, 700).saved, Savings(9, 1700, 700).saved) == (0, 1000)
