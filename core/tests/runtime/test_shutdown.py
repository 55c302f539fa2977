"""A signal ends serving once calls are over; a second one ends everything."""

from __future__ import annotations

import os
import signal
import threading

import anyio

from mcp_gateway.plugin import ServeOptions as ShutdownOptions
from mcp_gateway.runtime import shutdown as module
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


async def test_hanging_up_is_a_signal_to_stop():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored where nohup runs the tests
    try:
        ended = []
        with anyio.fail_after(6 * WAIT_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve_until_ended, GracefulShutdown(0.0, lambda: 1), ended)
                await until(lambda: ended and signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGHUP)
                await until(lambda: "served" in ended)
                tasks.cancel_scope.cancel()
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_hanging_up_stays_ignored_where_it_was():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ended = []
        with anyio.fail_after(6 * WAIT_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve_until_ended, GracefulShutdown(0.0, lambda: 1), ended)
                await until(lambda: ended and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGHUP)
                os.kill(os.getpid(), signal.SIGTERM)
                await until(lambda: "served" in ended)
                assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
                tasks.cancel_scope.cancel()
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_what_does_not_end_in_time_is_cancelled_and_then_told_to_a_thread(monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    overdue = threading.Event()
    ending = GracefulShutdown(0.0, on_overdue=overdue.set)
    with anyio.fail_after(6 * WAIT_SECONDS):
        with ending.everything:
            ending.close()
            await anyio.sleep_forever()
        await anyio.to_thread.run_sync(overdue.wait)


def test_by_default_the_end_takes_less_than_three_seconds():
    grace = ShutdownOptions.model_fields["grace"].default
    assert grace + module.CLOSE_SECONDS + 0.1 < 3
