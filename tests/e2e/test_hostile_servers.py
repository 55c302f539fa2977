"""Servers that attack with what they answer: the call fails in time, in bounded memory, and nobody else waits."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .support.gateways import HttpGateway, Launcher, plain_entry, until
from .support.raw_clients import HttpClient, Json
from .test_one_line import HOSTILE, hostile_http

TIMEOUT = 2
SLACK = 9
"""Far more than a call lasts beyond its timeout on a busy machine, far less than a stall that was measured."""

GOOD_SECONDS = 2.5
RESULT_BYTES = 8 << 20
MEMORY = 120 << 20
"""What one attack may take: a few copies of the longest message."""

HTTP = [
    "sse-line", "sse-data", "sse-id", "sse-comments", "sse-empty", "sse-tiny", "sse-messages", "sse-pings",
    "sse-progress", "sse-tiny-chunks", "header", "header-name", "headers", "reason", "interim", "chunks", "tiny-chunks",
    "chunk-extension", "trailer", "length", "no-length", "error-json", "error-text", "gzip", "gzip-sse", "gzip-layers",
    "retry", "retry-long", "drip", "nesting",
]  # fmt: skip
STDIO = [
    "line",
    "line-of-answer",
    "blank",
    "tiny",
    "noise",
    "messages",
    "pings",
    "progress",
    "stderr",
    "stderr-line",
    "nesting",
]

BOTH_ERAS = [*HTTP, "pipe-line", "pipe-line-of-answer", "pipe-messages", "pipe-progress"]
MODERN_ONLY = [attack for name in STDIO if (attack := f"pipe-{name}") not in BOTH_ERAS]
"""Most of what these attack has been attacked in the other era then, too."""


@dataclass
class AttackedGateway:
    """A gateway in front of a good server and many bad ones."""

    gateway: HttpGateway
    era: str
    good: HttpClient = field(init=False)
    idle: int = 0

    def __post_init__(self) -> None:
        self.good = HttpClient(self.gateway.url, modern=True)
        until(lambda: "structuredContent" in self.good.call("good__echo", {}).get("result", {}), "it is there")
        self.idle = self.memory("VmRSS")

    @property
    def process(self) -> Path:
        return Path(f"/proc/{self.gateway.popen.pid}")

    def memory(self, what: str) -> int:
        """Return how many bytes of memory it has now (VmRSS), or had at the most (VmHWM)."""
        lines = (self.process / "status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))

    def attack(self, name: str) -> tuple[Json, float, float, int]:
        """Call a bad server; return the answer, its time, the good one's longest call meanwhile, and the memory."""
        (self.process / "clear_refs").write_text("5", encoding="ascii")
        before, found = self.memory("VmRSS"), list[Any]()

        def call() -> None:
            client = HttpClient(self.gateway.url, modern=True)
            began = time.monotonic()
            found.extend((client.call(f"{name}__attack", {}), time.monotonic() - began))

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        longest = 0.0
        while thread.is_alive():
            began = time.monotonic()
            assert "result" in self.good.call("good__echo", {})
            longest = max(longest, time.monotonic() - began)
            thread.join(0.05)
        answer, seconds = found
        return answer, seconds, longest, self.memory("VmHWM") - before


@pytest.fixture(scope="module", params=["modern", "handshake"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedGateway]:
    era = request.param
    with ExitStack() as stack:
        launcher = Launcher(tmp_path_factory.mktemp("hostile"), stack)
        base = hostile_http(launcher)
        bad = {"timeout": TIMEOUT, "max_call_time": TIMEOUT + 1, "max_retries": 0}
        entries = [plain_entry("good", None, "--era", era)]
        entries += [{"name": name, "url": f"{base}/{era}/{name}", **bad} for name in HTTP]
        for name in STDIO:
            arguments = [str(HOSTILE), "stdio", era, name]
            entries.append({"name": f"pipe-{name}", "command": sys.executable, "args": arguments, **bad})
        process = launcher.start_http(launcher.config(*entries), GATEWAY_MAX_RESULT_BYTES=str(RESULT_BYTES))
        yield AttackedGateway(process, era)


def check_attack(target: AttackedGateway, attack: str) -> None:
    answer, seconds, longest, memory = target.attack(attack)
    print(f"ATTACK {attack}: {seconds:.1f} s, good {longest:.2f} s, {memory >> 20} MiB: {str(answer)[:330]}")
    assert attack in str(answer), answer
    assert seconds < TIMEOUT + SLACK
    assert longest < GOOD_SECONDS
    assert memory < MEMORY


@pytest.mark.parametrize("attack", BOTH_ERAS)
def test_an_attack_fails_alone_in_time_and_in_bounded_memory(target: AttackedGateway, attack: str) -> None:
    check_attack(target, attack)


@pytest.mark.parametrize("target", ["modern"], indirect=True)
@pytest.mark.parametrize("attack", MODERN_ONLY)
def test_an_attack_by_a_pipe_fails_alone_in_time_and_in_bounded_memory(target: AttackedGateway, attack: str) -> None:
    check_attack(target, attack)


@pytest.mark.parametrize("target", ["modern"], indirect=True)
def test_the_memory_of_a_burst_is_given_back(target: AttackedGateway) -> None:
    # Part of it may be in use when the gateway first looks; then it waits longer each time before it tries again.
    until(lambda: target.memory("VmRSS") < target.idle + (40 << 20), "what the attacks took is given back")
