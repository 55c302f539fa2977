"""Gateways that are killed in mid-call, and started again by whoever looks after them."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

from ...e2e.support.gateways import GATEWAY, WAIT_SECONDS, Json, Launcher, Process, free_port, is_alive, until
from ..support.clients import BackgroundCaller, Caller, HttpCaller, StdioCaller, call_echo, wait_until_right
from ..support.matrix import RIGHT, Row
from .servers import Outcome, child_entry


class Client:
    """A client that starts anew when the gateway does."""

    def __init__(self, launcher: Launcher, servers: list[Json], kind: str) -> None:
        self._launcher, self._kind = launcher, kind
        self._config = launcher.config(*servers)
        self._port = str(free_port())
        self.start()

    def start(self) -> None:
        """Start a gateway, where the last one was, and connect to it."""
        if self._kind == "http":
            gateway = self._launcher.start_http(self._config, GATEWAY_PORT=self._port)
            self.process: Process = gateway
            self._caller: Caller = HttpCaller(gateway.url)
        else:
            self.process = self._launcher.start([GATEWAY], self._launcher.environment(self._config))
            self._caller = StdioCaller(self.process)

    def call(self, tool: str, arguments: Json) -> Json:
        return self._caller.call(tool, arguments)


def run_gateways(launcher: Launcher, rows: tuple[Row, ...]) -> dict[str, Outcome]:
    """Run all rows, one after the other."""
    return {row.key: run(launcher, row) for row in rows}


def run(launcher: Launcher, row: Row) -> Outcome:
    kind = row.key.split()[-1]
    folder = launcher.folder / kind
    folder.mkdir()
    client = Client(launcher, [child_entry(folder, "bystander"), child_entry(folder, "hanging")], kind)
    assert (ready := wait_until_right(lambda: call_echo(client, "hanging"), WAIT_SECONDS)) == RIGHT, ready
    pid = client.call("bystander__echo", {})["result"]["structuredContent"]["pid"]
    with BackgroundCaller(lambda: call_echo(client, "bystander")) as background, ThreadPoolExecutor(1) as threads:
        background.calls_again()
        fault = folder / "hanging"
        fault.write_text("hangs", encoding="utf-8")
        calling = threads.submit(call_echo, client, "hanging")
        until((folder / "hanging-begun").exists, "the call reaches the server")
        client.process.end(signal.SIGKILL)
        found = calling.result(WAIT_SECONDS)
        background.calls_again()
        until(lambda: not is_alive(pid), "the child of a gateway that was killed ends")
        fault.unlink()
        client.start()
        at_last = wait_until_right(lambda: call_echo(client, "hanging"), row.healthy)
        background.calls_again()
    assert background.seen[-1] == RIGHT, background.seen
    return Outcome(found, tuple(each for each in background.seen if each != RIGHT), at_last)
