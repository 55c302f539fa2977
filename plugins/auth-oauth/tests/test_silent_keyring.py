"""A keyring that does not answer, because it waits for a person to unlock it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("keyring")

CODE = """
import sys, threading
from pathlib import Path

import anyio, keyring
from keyring.backend import KeyringBackend
from mcp_gateway.plugin import ConfigError
from mcp_gateway_auth_oauth import mcp_gateway_auth_strategies, strategy


class SilentKeyring(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        threading.Event().wait()

    set_password = delete_password = get_password


async def open_strategy():
    (provider,) = mcp_gateway_auth_strategies()
    source = {"name": "crm", "url": "https://crm.example/mcp", "GATEWAY_OAUTH_FOLDER": sys.argv[1]}
    async with provider.bind(source).open():
        pass


keyring.set_keyring(SilentKeyring())
strategy._KEYRING_SECONDS = 0.1
try:
    anyio.run(open_strategy)
except ConfigError as error:
    print(error)
"""


def test_it_is_an_error_that_says_what_to_do_and_the_process_ends(tmp_path):
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "the system keyring does not answer: unlock it, or set GATEWAY_OAUTH_KEY\n", done.stderr
