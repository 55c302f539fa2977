"""Does the gateway stay well when servers fail at random? Answers are counted: right, wrong, failed with a reason."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ..bench import Bench, say
from ..gateway_process import gateway_before
from ..measurement import wait_for_port
from ..peers import PEERS
from ..processes import Process, free_port, resident
from ..raw_clients import HttpTalker, StdioTalker, Talker

Json = dict[str, Any]
FAULTY = str(Path(__file__).parents[2] / "faults" / "programs" / "faulty.py")
CHILDREN, REMOTE = ("child-1", "child-2"), ("remote-1", "remote-2")
WORKERS = 16
SESSION = 500
"""Calls after which a client of the handshake era over HTTP opens a new session."""
TIMEOUT = 2
"""Seconds that the gateway waits for an answer: less than a slow call takes."""
WARM_UP = 0.1
"""The part of the calls after which memory is looked at first: by then all that is bounded has been filled."""
HEALTHY = 60
"""Seconds within which every server must answer again at the end."""

KINDS = {"plain": 52, "progress": 15, "remote": 15, "search": 8, "list": 5, "discover": 1, "cancelled": 3, "faulty": 1}
"""How often, of a hundred calls."""
FAULTS = {
    CHILDREN: {"dies during": 6, "dies after": 6, "half a line": 6, "garbage": 3, "halves": 20, "slow": 1},
    REMOTE: {
        **dict.fromkeys(("401", "403", "404", "429", "500", "502", "forgets", "reset"), 8),
        **dict.fromkeys(("content type", "bad events", "slow body", "endless"), 8),
        "slow": 2,
    },
}


class Tally:
    """What came of all calls."""

    def __init__(self) -> None:
        self.right, self.reasons, self.wrong = Counter[str](), Counter[str](), Counter[str]()
        self.faults = Counter[str]()

    def __str__(self) -> str:
        right, reasons, wrong, faults = (sum(counts.values()) for counts in self.counted.values())
        return f"{right} right, {reasons} failed with a reason, {wrong} wrong; {faults} faults"

    @property
    def counted(self) -> dict[str, dict[str, int]]:
        return {name: dict(getattr(self, name)) for name in ("right", "reasons", "wrong", "faults")}

    def judge(self, kind: str, server: str, response: Json, token: str) -> None:
        """Count one answer to a call of `echo`."""
        result = response.get("result") or {}
        said = result.get("structuredContent") or {}
        words = str(said.get("error") if "result" in response else response.get("error", {}).get("message"))
        if "result" in response and not result.get("isError"):
            if (said.get("arguments") or {}).get("token") == token:
                self.right[kind] += 1
            else:
                self.wrong[f"{kind}: not its own: {response}"[:300]] += 1
        elif f"'{server}'" in words:
            self.reasons[str(said.get("error_code") or response["error"]["code"])] += 1
        else:
            self.wrong[f"{kind}: a failure without a clear reason: {response}"[:300]] += 1


class Soak:
    """Clients that share the work."""

    def __init__(self, talkers: list[Talker], seed: int) -> None:
        self.tally = Tally()
        self._talkers, self._random = talkers, random.Random(seed)
        self._numbers = itertools.count(1)
        self._left = 0

    async def work(self, calls: int) -> None:
        """Make so many calls."""
        self._left = calls
        await asyncio.gather(*(self._work(worker) for worker in range(WORKERS)))

    async def _work(self, worker: int) -> None:
        mine = 0
        while self._left > 0:
            self._left -= 1
            talker = self._talkers[worker % len(self._talkers)]
            kind = self._random.choices(list(KINDS), list(KINDS.values()))[0]
            try:
                await self._call(talker, kind)
            except Exception as error:
                self.tally.wrong[f"{kind}: {error!r}"[:300]] += 1
            mine += 1
            if mine % SESSION == 0 and isinstance(talker, HttpTalker) and not talker.modern:
                await talker.close()
                await talker.greet()

    async def _call(self, talker: Talker, kind: str) -> None:
        servers = self._random.choice(list(FAULTS))
        server, token = self._random.choice(servers), f"t{next(self._numbers)}"
        match kind:
            case "search":
                return await self._search(talker)
            case "list":
                return self._listed(await talker.ask(talker.request("tools/list", {})))
            case "discover":
                return await self._discover(talker, server)
        arguments: Json = {"token": token}
        if kind == "faulty":
            faults = FAULTS[servers]
            arguments["fault"] = self._random.choices(list(faults), list(faults.values()))[0]
            self.tally.faults[arguments["fault"]] += 1
        params: Json = {"name": f"{server}__echo", "arguments": arguments}
        if kind == "remote":
            params = {"name": "call_remote_tool", "arguments": {"tool_name": params["name"], "arguments": arguments}}
        if kind == "progress":
            params["_meta"] = {"progressToken": token}
        request = talker.request("tools/call", params)
        if kind == "cancelled":
            return await self._cancelled(talker, request)
        return self.tally.judge(kind, server, await talker.ask(request), token)

    async def _cancelled(self, talker: Talker, request: Json) -> None:
        asking = asyncio.ensure_future(talker.ask(request))
        await asyncio.sleep(self._random.random() / 100)
        await talker.cancel(request, asking)
        self.tally.right["cancelled"] += 1

    async def _search(self, talker: Talker) -> None:
        request = talker.request("tools/call", {"name": "tool_search", "arguments": {"query": "echo"}})
        said = (await talker.ask(request)).get("result", {}).get("structuredContent", {})
        names = {tool["tool_name"] for tool in said.get("tools", ())}
        if names and names <= {f"{server}__echo" for server in (*CHILDREN, *REMOTE)}:
            self.tally.right["search"] += 1
        else:
            self.tally.wrong[f"search: {said}"[:300]] += 1

    def _listed(self, response: Json) -> None:
        names = {tool["name"] for tool in response.get("result", {}).get("tools", ())}
        if {"tool_search", "discover_tools", "call_remote_tool"} <= names:
            self.tally.right["list"] += 1
        else:
            self.tally.wrong[f"list: {response}"[:300]] += 1

    async def _discover(self, talker: Talker, server: str) -> None:
        arguments = {"server_name": server}
        response = await talker.ask(talker.request("tools/call", {"name": "discover_tools", "arguments": arguments}))
        said = response.get("result", {}).get("structuredContent", {})
        if said.get("success") and said.get("tool_count") == 1:
            self.tally.right["discover"] += 1
        elif not said.get("success") and f"'{server}'" in str(said.get("error")):
            self.tally.reasons[str(said.get("error_code"))] += 1
        else:
            self.tally.wrong[f"discover: {response}"[:300]] += 1

    async def recovered(self) -> list[str]:
        """Return the servers that do not answer rightly in time when nothing fails any more."""
        ill = []
        for server in (*CHILDREN, *REMOTE):
            try:
                async with asyncio.timeout(HEALTHY):
                    while not await self._answers(server):  # noqa: ASYNC110  # nothing here says when
                        await asyncio.sleep(0.5)
            except TimeoutError:
                ill.append(server)
        return ill

    async def _answers(self, server: str) -> bool:
        params = {"name": f"{server}__echo", "arguments": {"token": "last"}}
        response = await self._talkers[0].ask(self._talkers[0].request("tools/call", params))
        said = response.get("result", {}).get("structuredContent") or {}
        return bool(said.get("arguments") == {"token": "last"})


@asynccontextmanager
async def gateway(kind: str) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """Start the gateway in front of faulty servers; give its port and its process."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        remote = free_port()
        faulty = Process([sys.executable, "-S", FAULTY, "http", folder, str(remote)])
        wait_for_port(remote)
        servers: list[Json] = [
            {"name": name, "command": sys.executable, "args": ["-S", FAULTY, "stdio", folder, name]}
            for name in CHILDREN
        ]
        servers += [{"name": name, "url": f"http://127.0.0.1:{remote}/{name}"} for name in REMOTE]
        patient = [{**server, "timeout": TIMEOUT} for server in servers]
        try:
            with (Path(folder) / "log").open("wb") as log:
                async with gateway_before(patient, kind, Path(folder), {}, log) as started:
                    yield started
        finally:
            faulty.stop()


def held(process: asyncio.subprocess.Process) -> Json:
    """Return what the gateway's process holds: MiB, and file descriptors."""
    files = list(Path(f"/proc/{process.pid}/fd").iterdir())
    return {"mib": round(resident(process.pid) / 1048576, 1), "files": len(files)}


def soak(bench: Bench) -> None:
    """Soak it over HTTP with clients of both eras, and over stdio with one; each gets half of the calls."""
    kinds = [kind for kind in ("http", "stdio") if any(pair.startswith(kind) for pair in bench.pairs)]
    verdicts: list[str] = []
    for kind in kinds:
        calls = bench.calls // len(kinds)
        bench.measure(
            "soak", PEERS["gateway"], kind, lambda k=kind, c=calls: verdicts.append(asyncio.run(measure(bench, k, c)))
        )
    if any(verdicts) or len(verdicts) < len(kinds):
        raise SystemExit(f"soak: {' '.join(verdicts)}")


async def measure(bench: Bench, kind: str, calls: int) -> str:
    """Make so many calls; return what is not as it must be."""
    peer, began = PEERS["gateway"], time.monotonic()
    async with gateway(kind) as (port, process):
        if kind == "http":
            talkers: list[Talker] = [HttpTalker(port, ("modern", "handshake")[each % 2]) for each in range(WORKERS)]
        else:
            talkers = [StdioTalker(process, "modern")]
        for talker in talkers:
            await talker.greet()
        work = Soak(talkers, seed=calls)
        await work.recovered()
        await work.work(round(calls * WARM_UP))
        await asyncio.sleep(1)
        first = held(process)
        for part in range(10):
            await work.work(calls // 10 - round(calls * WARM_UP / 10))
            say("soak", peer, kind, f"{part + 1}/10  {work.tally}  {held(process)}")
        ill = await work.recovered()
        await asyncio.sleep(5)
        last = held(process)
        ended = process.returncode
    counted = work.tally.counted
    seconds = round(time.monotonic() - began)
    bench.record("soak", peer, kind, calls=calls, **counted, ill=ill, first=first, last=last, seconds=seconds)
    say("soak", peer, kind, f"{calls} calls in {seconds} s; {first} -> {last}; {json.dumps(counted)}")
    if counted["wrong"] or ill or ended is not None:
        return f"{kind}: {work.tally}; not well again: {ill}; exit code: {ended}."
    return ""
