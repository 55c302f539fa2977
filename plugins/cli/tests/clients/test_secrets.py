"""Secrets of imported entries are never shown."""

from __future__ import annotations

import json

from mcp_gateway_cli.secrets.masks import mask_entry

ENTRY = {
    "name": "mail",
    "command": "mail",
    "args": ["--api-key", "S1-value", "--token=S2-value", "ghp_S3valueS3value", "-v", "https://me:S4pass@x/", "plain"],
    "env": {"MAIL_TOKEN": "S5-value", "REGION": "eu", "FROM_SHELL": "${MAIL}", "PAGE_KEY": "${K:-S6-value}"},
    "auth_headers": {"Authorization": "Bearer S7-value"},
    "client_secret": "S8-value",
    "url": "https://x/?api_key=S9-value&page=S0-value",
}


def test_nothing_that_may_be_a_secret_is_shown():
    shown = json.dumps(mask_entry(ENTRY))
    assert not [number for number in range(10) if f"S{number}" in shown], shown
    assert "${MAIL}" in shown
    assert mask_entry(ENTRY)["args"][-1] == "plain"
