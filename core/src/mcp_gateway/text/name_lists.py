"""Lists of names with descriptions, as long as there is room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

RenderFn = Callable[[str, str], str]
"""Renders a name with its description, which may be empty."""

_LENGTHS = (200, 150, 100, 75, 50, 30)
"""How long descriptions may be; the first length at which all of them fit is taken."""


def fit_names(items: Sequence[tuple[str, str]], max_chars: int, render: RenderFn, separator: str) -> str:
    """Return a list of names and descriptions of at most `max_chars` characters.

    Names come first: descriptions are shortened or left out before a name is. What is left out is counted.
    """
    names = [render(name, "") for name, _ in items]
    if utf16_length(separator.join(names)) > max_chars:
        return separator.join(_fit(names, max_chars, separator))
    for length in _LENGTHS:
        found = separator.join(render(name, clip(about, length)) for name, about in items)
        if utf16_length(found) <= max_chars:
            return found
    room = max_chars - utf16_length(separator.join(names))
    for at, (name, about) in enumerate(items):
        described = render(name, clip(about, _LENGTHS[-1]))
        if (more := utf16_length(described) - utf16_length(names[at])) <= room:
            names[at], room = described, room - more
    return separator.join(names)


def fit_lines(lines: Sequence[str], max_chars: int) -> list[str]:
    """Return the lines that fit, and a count of the rest."""
    whole = utf16_length("\n".join(lines)) <= max_chars
    return list(lines) if whole else _fit(lines, max_chars, "\n")


def clip(text: str, max_chars: int = 200) -> str:
    """Return a text, cut to `max_chars` characters."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1].rstrip()}…"


def utf16_length(text: str) -> int:
    """Return the length of a text as clients in JavaScript count it.

    It is never less than the number of its characters.
    """
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def _fit(parts: Sequence[str], max_chars: int, separator: str) -> list[str]:
    room = max_chars - len(f"{separator}and {len(parts)} more")
    kept: list[str] = []
    for part in parts:
        needed = utf16_length(part) + len(separator)
        if needed <= room:
            kept.append(part)
            room -= needed
    return [*kept, f"and {len(parts) - len(kept)} more"]
