"""A signal ends serving once calls are over; a second one ends everything."""

from __future__ import annotations

import os
import signal

import anyio

from mcp_gateway.runtime.shutdown import GracefulShutdown, open_python_signal_receiver

from ..support.fake_servers import WAIT_SECONDS, until


async def serve_until_ended(ending, ended):
    with ending.everything:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ending.on_signals)
            with ending.serving:
                ended.append("serving")
                await anyio.sleep_forever()
            ended.append("served")
            await anyio.sleep_forever()
    ended.append("everything")


async def test_the_first_signal_waits_for_calls_and_the_second_for_nothing():
    calls, ended = [1], []
    ending = GracefulShutdown(60.0, lambda: len(calls))
    with anyio.fail_after(6 * WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_until_ended, ending, ended)
            await until(lambda: ended and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            await anyio.sleep(0.1)
            assert ended == ["serving"]
            calls.clear()
            await until(lambda: ended == ["serving", "served"])
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: ended[-1] == "everything")


async def test_calls_have_so_many_seconds():
    ended = []
    with anyio.fail_after(6 * WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_until_ended, GracefulShutdown(0.05, lambda: 1), ended)
            await until(lambda: ended and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: "served" in ended)
            tasks.cancel_scope.cancel()


async def test_signals_are_handled_without_the_event_loops_help():
    before = signal.getsignal(signal.SIGTERM)
    with anyio.fail_after(WAIT_SECONDS), open_python_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            assert await anext(signals) == number
    assert signal.getsignal(signal.SIGTERM) is before
