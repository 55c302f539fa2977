import json
import signal
import subprocess
import sys

import pytest

SECONDS = 30

SERVE = """
import anyio, os, signal, sys
from mcp_gateway_transport_stdio import server_io
from mcp_gateway_transport_stdio import mcp_gateway_server_transports
from mcp_gateway_testkit import reference_server

async def main():
    provider = next(found for found in mcp_gateway_server_transports() if found.name == "stdio")
    async with provider.bind({}).open() as transport, anyio.create_task_group() as tasks:
        async def stop():
            with anyio.open_signal_receiver(signal.SIGTERM) as signals:
                print("listening", file=sys.stderr, flush=True)
                async for _ in signals:
                    tasks.cancel_scope.cancel()
        tasks.start_soon(stop)
        await transport.serve(reference_server(), ready=lambda where: print(where, file=sys.stderr, flush=True))
        tasks.cancel_scope.cancel()
    print("ended in peace", file=sys.stderr)

anyio.run(main)
"""


AS_ON_WINDOWS = "\nserver_io.can_poll = lambda *_: False\n"


@pytest.fixture(params=["", AS_ON_WINDOWS], ids=["here", "as on Windows"])
def gateway(request):
    script = SERVE.replace("\n\n", f"\n{request.param}\n", 1)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        output = {process.stderr.readline().strip(), process.stderr.readline().strip()}
        assert output == {"listening", "standard input and output"}
        yield process
        process.kill()


def test_serving_ends_when_the_client_closes_its_end(gateway):
    _, output = gateway.communicate(timeout=SECONDS)
    assert "ended in peace" in output
    assert gateway.returncode == 0


def test_serving_ends_when_it_is_cancelled_while_the_client_stays(gateway):
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(SECONDS) == 0
    assert "ended in peace" in gateway.stderr.read()


def test_a_request_that_is_too_long_is_refused_and_the_next_one_is_answered(gateway):
    ping = '{"jsonrpc":"2.0","id":%d,"method":"ping","params":{"_meta":{"x":"%s"}}}\n'
    gateway.stdin.write(ping % (1, "x" * (5 << 20)) + ping % (2, ""))
    gateway.stdin.flush()
    first, second = (json.loads(gateway.stdout.readline()) for _ in range(2))
    assert first["id"] == 1
    assert "GATEWAY_MAX_REQUEST_BYTES" in first["error"]["message"]
    assert second["id"] == 2


TAKEN = """
import asyncio
from mcp_gateway.plugin import RawResponse

def reference_server(make=reference_server):
    server = make()

    def dispatch_raw(message, headers, principal, writer):
        if b"tools/call" not in message:
            return None
        if b"later" in message:
            answer = RawResponse(b'{"jsonrpc":"2.0","id":1,"result":{}}')
            asyncio.get_running_loop().call_later(0.2, writer.finish, answer)
        return lambda: print("abandoned", file=sys.stderr, flush=True)

    server.dispatch_raw = dispatch_raw
    return server
"""
CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s"}}\n'


@pytest.fixture(params=["", AS_ON_WINDOWS], ids=["here", "as on Windows"])
def taking(request):
    """Serve by a server that takes calls as bytes."""
    script = SERVE.replace("\n\n", f"\n{TAKEN}{request.param}\n", 1).replace(
        "bind({})", 'bind({"GATEWAY_SHUTDOWN_GRACE": "1"})'
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert {process.stderr.readline().strip() for _ in range(2)} == {"listening", "standard input and output"}
        yield process
        process.kill()


def test_a_call_that_was_taken_is_answered_after_the_client_has_closed_its_end(taking):
    answer, log = taking.communicate(CALL % "later", timeout=SECONDS)
    assert json.loads(answer) == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert "abandoned" not in log
    assert "ended in peace" in log


def test_a_call_that_is_not_answered_in_time_is_abandoned_once(taking):
    answer, log = taking.communicate(CALL % "never", timeout=SECONDS)
    assert answer == ""
    assert log.splitlines() == ["requests abandoned", "abandoned", "ended in peace"]


def test_a_call_under_way_is_abandoned_when_serving_is_cancelled(taking):
    taking.stdin.write(CALL % "never" + '{"jsonrpc":"2.0","id":2,"method":"ping"}\n')
    taking.stdin.flush()
    assert json.loads(taking.stdout.readline())["id"] == 2
    taking.send_signal(signal.SIGTERM)
    assert taking.wait(SECONDS) == 0
    assert taking.stderr.read().count("abandoned") == 1
