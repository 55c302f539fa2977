"""The page core/docs/first-minute.md: a terminal session, recorded.

`UPDATE_PAGES=1 pytest tests/e2e/test_first_minute.py -k page` writes it anew.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pexpect

from mcp_gateway.text.wrapping import wrap_line

from .sample_home import GATEWAY_LINK, SampleHome
from .terminal_session import plain

PAGE = Path(__file__).parents[3] / "core" / "docs" / "first-minute.md"
PROMPTS = (r"which programs\? .*\] ", r"write .* files\? .*\] ")
TEXT = """\
# The first minute

Eight programs on one machine, each with MCP servers of its own: this session was recorded by a test, in a terminal.
`init` asks before it writes anything; [the command line](command-line.md#programs-with-mcp-servers) tells of all that
it can do.

```console
{session}
```
"""
_WIDEST, _COLUMNS = 1000, 120
"""How wide the terminal is, and the page: lines are broken after the folder, of any length, has been replaced."""

_SECONDS = re.compile(r"\b\d+\.\d s\b")
_SPINNER = re.compile(r"[\u2800-\u28ff]")


def record_page(home: SampleHome) -> str:
    """Return the page, made from a session in this home."""
    parts = [
        _record(home, "init", prompts=PROMPTS),
        _record(home, "search", "find in the calendar", "--max", "1"),
        _record(home, "call", "calendar__find_0"),
        _record(home, "undo"),
    ]
    return TEXT.format(session="\n\n".join(parts))


def normalize_page(text: str) -> str:
    """Return a page without what differs from run to run: how long something took."""
    return _SECONDS.sub("0.1 s", text)


def _record(home: SampleHome, *arguments: str, prompts: Sequence[str] = ()) -> str:
    """Run a command in a terminal, and accept what it proposes; return all that was on the screen."""
    screen = io.StringIO()
    with home.open_terminal(*arguments, columns=_WIDEST, command=str(home.folder / GATEWAY_LINK)) as child:
        child.logfile_read = screen
        for prompt in prompts:
            child.expect(prompt)
            child.sendline("")
        child.expect(pexpect.EOF)
    words = " ".join(f'"{word}"' if " " in word else word for word in arguments)
    return "\n".join([f"$ mcp-gateway {words}", *_clean(screen.getvalue(), home.folder)])


def _clean(screen: str, folder: Path) -> list[str]:
    text = plain(screen).replace(str(folder.resolve()), "/home/me").replace("sk-very-secret-0123456789", "sk-…")
    lines = [line.rstrip() for line in text.splitlines()]
    return [part for line in lines if line and not _SPINNER.search(line) for part in wrap_line(line, _COLUMNS)]
