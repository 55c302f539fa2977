"""Secrecy: masks in log lines, and no core dumps."""

from __future__ import annotations

import logging

import pytest
import structlog

from mcp_gateway.config.settings import read_environment
from mcp_gateway.runtime.logging import configure_logging
from mcp_gateway.text.redaction import mask_secrets

SECRET = "s3cr3t-Marker"


@pytest.mark.parametrize(
    "said",
    [
        f"refused Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
        f"Authorization: {SECRET}",
        f"redis://:{SECRET}@host:6379/0",
        f"http://user:{SECRET}@host/mcp?x=1",
        f"http://{SECRET}@host/mcp",
        f"https://host/mcp?token={SECRET}&x=1",
        f"password={SECRET}",
        f'{{"password": "{SECRET}"}}',
        f'{{\\"api_key\\": \\"{SECRET}\\"}}',
        f"client_secret: {SECRET}, next",
    ],
)
def test_what_looks_like_credentials_is_masked(said):
    assert SECRET not in mask_secrets(said)
    assert "***" in mask_secrets(said)


@pytest.mark.parametrize(
    "said",
    [
        "this gateway wants its token: send 'Authorization: Bearer TOKEN'",
        "http://127.0.0.1:8080/mcp",
        "server 'a' refused the credentials: HTTP 401 Unauthorized; check its auth_headers",
        '{"event": "call succeeded", "tool": "git__log", "seconds": 0.01}',
        "npm install @scope/name from https://registry.example/@scope/name",
    ],
)
def test_other_words_stay_as_they_are(said):
    assert mask_secrets(said) == said


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_words_of_others_are_masked_in_the_log(capsys, form):
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logging(read_environment({"GATEWAY_LOG_FORMAT": form}))
        structlog.configure(cache_logger_on_first_use=False)
        log = structlog.get_logger("mcp_gateway.x")
        error = RuntimeError(f"POST https://x/?api_key={SECRET} with Bearer {SECRET}")
        log.error("plugin failed", exc_info=error)
        logging.getLogger("other").warning("password=%s", SECRET)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    said = capsys.readouterr().err
    assert "plugin failed" in said
    assert SECRET not in said
