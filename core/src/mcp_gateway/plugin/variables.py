"""Variable sources: where the values of `${SOURCE:KEY}` come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableSource:
    """A source of variables, yielded by a hook.

    * `name`: what stands before the colon: `keyring` in `${keyring:KEY}`.
    * `summary`: one line for people.
    * `read`: returns the value of a key; None if there is none. Import heavy libraries inside. It may block: the
      gateway calls it in another thread, and waits within a time limit.
    * `explain_missing`: says what to do about a key without a value, in a few words.
    * `write` and `remove`: keep and forget a value, for sources that can; `remove` returns whether there was one.
    * `find_file`: returns a file whose content changes with every value. Gateways that run read their values
      anew when it does.

    All of them raise VariableError if the source cannot answer. The value of a key is a secret: it must be in no
    message, log line or repr.
    """

    name: str
    summary: str
    read: Callable[[str], str | None]
    explain_missing: Callable[[str], str]
    write: Callable[[str, str], None] | None = None
    remove: Callable[[str], bool] | None = None
    find_file: Callable[[], Path] | None = None
