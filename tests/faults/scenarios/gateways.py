"""Gateways that are killed in mid-call, and started again by whoever looks after them."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

from ...e2e.support.gateways import GATEWAY, PATIENCE, Json, Process, Workshop, free_port, is_alive, until
from ..support.clients import Bystander, Caller, HttpCaller, PipeCaller, seen, until_right
from ..support.matrix import RIGHT, Row
from .servers import Outcome, child_entry


class Client:
    """A client that starts anew when the gateway does."""

    def __init__(self, workshop: Workshop, servers: list[Json], kind: str) -> None:
        self._workshop, self._kind = workshop, kind
        self._config = workshop.config(*servers)
        self._port = str(free_port())
        self.start()

    def start(self) -> None:
        """Start a gateway, where the last one was, and connect to it."""
        if self._kind == "http":
            gateway = self._workshop.listening(self._config, GATEWAY_PORT=self._port)
            self.process: Process = gateway
            self._caller: Caller = HttpCaller(gateway.url)
        else:
            self.process = self._workshop.start([GATEWAY], self._workshop.environment(self._config))
            self._caller = PipeCaller(self.process)

    def call(self, tool: str, arguments: Json) -> Json:
        return self._caller.call(tool, arguments)


def play_gateways(workshop: Workshop, rows: tuple[Row, ...]) -> dict[str, Outcome]:
    """Play all rows, one after the other."""
    return {row.key: play(workshop, row) for row in rows}


def play(workshop: Workshop, row: Row) -> Outcome:
    kind = row.key.split()[-1]
    folder = workshop.folder / kind
    folder.mkdir()
    client = Client(workshop, [child_entry(folder, "bystander"), child_entry(folder, "hanging")], kind)
    assert (ready := until_right(lambda: seen(client, "hanging"), PATIENCE)) == RIGHT, ready
    pid = client.call("bystander__echo", {})["result"]["structuredContent"]["pid"]
    with Bystander(lambda: seen(client, "bystander")) as bystander, ThreadPoolExecutor(1) as threads:
        bystander.calls_again()
        fault = folder / "hanging"
        fault.write_text("hangs", encoding="utf-8")
        calling = threads.submit(seen, client, "hanging")
        until((folder / "hanging-begun").exists, "the call reaches the server")
        client.process.end(signal.SIGKILL)
        found = calling.result(PATIENCE)
        bystander.calls_again()
        until(lambda: not is_alive(pid), "the child of a gateway that was killed ends")
        fault.unlink()
        client.start()
        at_last = until_right(lambda: seen(client, "hanging"), row.healthy)
        bystander.calls_again()
    assert bystander.seen[-1] == RIGHT, bystander.seen
    return Outcome(found, tuple(each for each in bystander.seen if each != RIGHT), at_last)
