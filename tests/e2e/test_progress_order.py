"""Every report of progress reaches the client, in order and before the answer of its call: each pair, each era.

The bench's programs in C make the calls where there is a compiler: only they are fast enough to keep a gateway busy.
Elsewhere clients in Python do. NOTIFICATION_CALLS says how many calls each case makes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from ..bench.binaries import find_compiler
from ..bench.conversations import progress
from ..bench.gateway_process import gateway_before
from ..bench.measurement import Stage, wait_for_port
from ..bench.peers import PAIRS, PEERS, Peer
from ..bench.processes import Process, free_port
from ..bench.raw_clients import HttpTalker, StdioTalker, Talker
from ..bench.rows import REPORTS

CALLS = int(os.environ.get("NOTIFICATION_CALLS", "300"))
CALLERS = (1, 32)
PYTHON_CLIENTS = 8
SERVER = Path(__file__).parent.parent / "bench" / "programs" / "asking_server.py"
ERAS = ("handshake", "modern")
each_case = pytest.mark.parametrize(
    "pair, era, server_era", [(pair, era, server_era) for pair in PAIRS for era in ERAS for server_era in ERAS]
)


def gateway_of(era: str) -> Peer:
    """Return the gateway as clients of an era use it."""
    peer = copy(PEERS["gateway"])
    peer.era = era  # type: ignore[misc]
    return peer


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
@each_case
def test_no_report_is_lost_or_overtaken_by_its_answer(pair: str, era: str, server_era: str) -> None:
    options = (*REPORTS.server, "--era", server_era)
    with Stage(gateway_of(era), pair, options=options) as stage:
        for callers in CALLERS:
            result = stage.measure(callers, calls=CALLS, warmup=0, row=REPORTS)
            assert result.get("kinds") == {}, result
            assert (result["good"], result["reports"]) == (CALLS, 3 * CALLS)


@pytest.mark.skipif(find_compiler() is not None, reason="the faster test was run")
@each_case
def test_no_report_is_lost_or_overtaken_before_clients_in_python(
    tmp_path: Path, pair: str, era: str, server_era: str
) -> None:
    with ExitStack() as stack:
        server: dict[str, Any] = {"name": "d1", "command": sys.executable, "args": [str(SERVER), server_era, "--stdio"]}
        if pair.endswith("http"):
            port = free_port()
            process = Process([sys.executable, str(SERVER), server_era, "--http", str(port)])
            stack.callback(process.stop)
            wait_for_port(port)
            server = {"name": "d1", "url": f"http://127.0.0.1:{port}/mcp"}
        asyncio.run(converse(tmp_path, server, pair.split("-", maxsplit=1)[0], era))


async def converse(folder: Path, server: dict[str, Any], transport: str, era: str) -> None:
    """Make calls, several at once; each must hear of its three steps before its answer."""
    async with gateway_before([server], transport, folder, {}) as (port, process):
        over_http = transport == "http"
        talkers: list[Talker] = (
            [HttpTalker(port, era) for _ in range(PYTHON_CLIENTS)] if over_http else [StdioTalker(process, era)]
        )
        for talker in talkers:
            await talker.greet()
        for _ in range(CALLS // PYTHON_CLIENTS):
            await asyncio.gather(*(progress(talkers[n % len(talkers)], "d1") for n in range(PYTHON_CLIENTS)))
        for talker in talkers:
            await talker.close()
