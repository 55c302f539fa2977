"""One call has one way: a plain and an ordinary call enter the same modules, but for what delivers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mcp_gateway
from mcp_gateway.discovery.refresher import ANONYMOUS

from ...support.era_client import open_era_client
from ...support.fake_servers import Remote, text, tool, until

ROOT = Path(mcp_gateway.__file__).parent

DELIVERING = {
    "client/announcements.py",
    "client/backpressure.py",
    "client/connection.py",
    "client/in_flight.py",
    "gateway/suspended_calls.py",
    "plugin/utilities/request_ids.py",
}
"""What only a call enters that brings a token or a level, or whose client can be asked."""

MAX_MODULES = 24
"""How many modules of the core one plain call enters; those of the transports come on top."""


@contextmanager
def entered_modules() -> Iterator[set[str]]:
    """Collect the modules of the core whose functions are called."""
    found: set[str] = set()

    def on_event(frame, event, _):
        if event == "call" and frame.f_code.co_name != "<module>":
            found.add(frame.f_code.co_filename)

    sys.setprofile(on_event)
    try:
        yield found
    finally:
        sys.setprofile(None)
        core = {Path(name) for name in found if name.startswith(str(ROOT))}
        found.clear()
        found |= {path.relative_to(ROOT).as_posix() for path in core}


async def enter_by_call(gateway, *, modern, handshake, ordinary):
    """Return the modules that one call enters, after some that have filled the caches."""

    async def work(ctx):
        if ordinary:
            await ctx.session.report_progress(1)
        return text("done")

    alpha = Remote(tool("x"), handshake=handshake)
    alpha.answers["x"] = work
    able = {"roots": {}, "sampling": {}, "elicitation": {}} if ordinary else {}
    meta = ({"token": "t"} | ({"level": "debug"} if modern else {})) if ordinary else {}
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(opened, "bytes", modern=modern, capabilities=able) as client,
    ):
        await opened.gateway.discover("alpha", ANONYMOUS)
        await until(lambda: not opened.gateway.discovery.running)
        for _ in range(3):
            await client.request("tools/call", {"name": "alpha__x"}, **meta)
        client.received.clear()
        with entered_modules() as found:
            response = await client.request("tools/call", {"name": "alpha__x"}, **meta)
    assert response["result"]["content"] == text("done")["content"]
    assert len(client.received) == ordinary
    # They turn the in-memory server's streams into a channel; first-party transports are channels themselves.
    return found - {"plugin/utilities/stream_channel.py", "plugin/utilities/json_text.py"}


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize("handshake", [True, False], ids=["to-handshake", "to-modern"])
async def test_a_plain_and_an_ordinary_call_enter_the_same_modules(gateway, modern, handshake):
    plain = await enter_by_call(gateway, modern=modern, handshake=handshake, ordinary=False)
    ordinary = await enter_by_call(gateway, modern=modern, handshake=handshake, ordinary=True)
    print(f"modules entered: {len(plain)} by a plain call, {len(ordinary)} by an ordinary one")
    assert ordinary - plain <= DELIVERING, sorted(ordinary - plain)
    assert plain - ordinary == set()
    assert len(plain) <= MAX_MODULES, sorted(plain)
    assert {"server/pipeline/dispatcher.py", "gateway/gateway.py", "sessions/exchange.py"} <= plain
