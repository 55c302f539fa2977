"""Questions to the person at the terminal."""

from __future__ import annotations

from mcp_gateway.control.terminal import complain, find_asker, prompt

_YES, _NO = ("y", "yes"), ("n", "no")


class NoAnswer(Exception):
    """The person has ended the input."""


def is_interactive() -> bool:
    """Whether there is a person to ask."""
    return find_asker() is not None


def confirm(question: str, *, default: bool = True) -> bool:
    """Ask a question whose answer is yes or no, by default `default`."""
    while True:
        answer = _ask(f"{question} [{'Y/n' if default else 'y/N'}] ").lower()
        if not answer:
            return default
        if answer in (*_YES, *_NO):
            return answer in _YES
        complain("please answer y or n")


def choose_numbers(question: str, count: int) -> list[int]:
    """Ask for numbers from 1 to `count`, by default all."""
    while True:
        answer = _ask(f"{question} [numbers such as 1,3, or none; Enter takes all] ").lower()
        if answer in {"", "all"}:
            return list(range(1, count + 1))
        if answer == "none":
            return []
        words = answer.replace(",", " ").split()
        if all(word.isdecimal() and 1 <= int(word) <= count for word in words):
            return sorted({int(word) for word in words})
        complain(f"please type numbers from 1 to {count}, separated by commas")


def _ask(question: str) -> str:
    answer = prompt(question)
    if answer is None:
        raise NoAnswer
    return answer.strip()
