"""What the start of a command loads."""

from __future__ import annotations

import subprocess
import sys


def test_listing_the_plugins_does_without_the_sdk_and_the_event_loop():
    command = "from mcp_gateway_cli.main import main; main(['plugins'])"
    assert (
        _loaded_by(command) & {"mcp", "mcp_types", "anyio", "structlog", "numpy", "redis", "httpx2", "uvicorn"} == set()
    )


def test_checking_the_configuration_does_without_the_sdk_too():
    command = "from mcp_gateway_cli.main import main; main(['check'])"
    assert _loaded_by(command) & {"mcp", "mcp_types", "numpy", "redis", "httpx2", "uvicorn"} == set()


def test_a_window_does_without_pydantic_and_plugins_too():
    command = (
        "import os, tempfile; import mcp_gateway_cli.main, mcp_gateway_cli.shared.gateway; "
        "import mcp_gateway_cli.shared.window, mcp_gateway.text.redaction; "
        "from mcp_gateway_cli.shared.places import find_places; "
        "folder = tempfile.TemporaryDirectory(prefix='run-'); "
        "os.environ['XDG_RUNTIME_DIR'] = folder.name; find_places(os.environ)"
    )
    heavy = {"mcp", "mcp_types", "pydantic", "anyio", "asyncio", "structlog", "pluggy"}
    assert _loaded_by(command) & heavy == set()


def _loaded_by(command):
    """Return the top-level modules that a fresh interpreter has loaded after `command`."""
    code = f"import sys\n{command}\nprint('loaded:', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())
