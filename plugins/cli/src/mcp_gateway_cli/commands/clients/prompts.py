"""Questions to the person at the terminal."""

from __future__ import annotations

import re

from mcp_gateway.control.report import USAGE
from mcp_gateway.control.terminal import complain, find_asker, prompt

_YES, _NO = ("y", "yes"), ("n", "no")

_RANGE = re.compile(r"(?<![\d-])([0-9]{1,4})(?:\s*-\s*([0-9]{1,4}))?(?![\d-])")
"""A number, or the first and the last of several."""


class NoAnswer(Exception):
    """The person has ended the input; `code` is the exit code."""

    code = USAGE


class Interruption(NoAnswer):
    """The person has pressed Ctrl-C."""

    code = 130


def is_interactive() -> bool:
    """Whether there is a person to ask."""
    return find_asker() is not None


def confirm(question: str, *, default: bool = True, seconds: float | None = None) -> bool:
    """Ask a question whose answer is yes or no, by default `default`.

    Raises:
        TimeoutError: nobody has answered within so many seconds.

    """
    while True:
        answer = _ask(f"{question} [{'Y/n' if default else 'y/N'}] ", seconds).lower()
        if not answer:
            return default
        if answer in (*_YES, *_NO):
            return answer in _YES
        complain("please answer y or n")


def choose_numbers(question: str, count: int) -> list[int]:
    """Ask for numbers from 1 to `count`, by default all."""
    while True:
        answer = _ask(f"{question} [numbers such as 1,3, or none; Enter takes all] ").lower()
        if (chosen := read_numbers(answer, count)) is not None:
            return chosen
        complain(f"please type numbers from 1 to {count}, such as 1,3 or 1-3; or none; Enter takes all")


def read_numbers(answer: str, count: int) -> list[int] | None:
    """Return the numbers that an answer names, None if it is unclear.

    To yes and no it says what these mean of a whole list.
    """
    if answer in {"", "all", *_YES}:
        return list(range(1, count + 1))
    if answer in {"none", *_NO}:
        return []
    chosen: set[int] = set()
    for first, last in _RANGE.findall(answer):
        start, end = int(first), int(last or first)
        if not 1 <= start <= end <= count:
            return None
        chosen |= set(range(start, end + 1))
    return sorted(chosen) if chosen and not _RANGE.sub("", answer).strip(", ") else None


def _ask(question: str, seconds: float | None = None) -> str:
    try:
        answer = prompt(question, seconds)
    except KeyboardInterrupt:
        raise Interruption from None
    if answer is None:
        raise NoAnswer
    return answer.strip()
