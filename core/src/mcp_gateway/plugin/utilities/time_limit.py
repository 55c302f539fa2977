"""A time limit for calls of blocking libraries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")


def call_in_time(seconds: float, function: Callable[[], ResultT]) -> ResultT:
    """Call a function in another thread, and wait for it.

    A thread cannot be stopped: one that does not return goes on, without holding up the end of the process.

    Raises:
        TimeoutError: it has not returned in time.

    """
    results: list[ResultT] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  # it is raised again, where the function was wanted
            errors.append(error)

    thread = threading.Thread(target=run, name="call in time", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    for error in errors:
        raise error
    return results[0]
