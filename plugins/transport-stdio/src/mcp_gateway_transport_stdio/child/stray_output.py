"""Stray output of a child on stdout: skipped, counted and logged.

Stray lines are lines that are not messages. The first one usually shows what the program is.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from mcp_gateway_transport_stdio.child.stderr import mask_values

log = logging.getLogger(__name__)

_SHOWN = 200
_READ = 4096
_HINT = "only MCP messages belong on standard output; log to standard error"
_ESCAPE_CODE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
_FRAMES = re.compile(rb"Content-(?:Length|Type):", re.IGNORECASE)
_KINDS = (
    (_FRAMES, "the header of a message of a language server: it speaks another protocol"),
    (re.compile(rb"HTTP/\d|\"?(?:GET|POST|HEAD) /\S* HTTP/"), "HTTP"),
    (
        re.compile(
            rb"https?://|\b(?:listen|running|serving|started)\w* (?:\w+ ){0,3}(?:on|at) |\bport:? \d", re.IGNORECASE
        ),
        'the log of an HTTP server: if it serves MCP there, write that URL as "url", in place of "command"',
    ),
    (re.compile(rb"\A\s*<(?:!doctype|html|\?xml)", re.IGNORECASE), "HTML or XML"),
    (
        re.compile(rb"\s*usage:|.*unrecognized arguments|.*unknown option", re.IGNORECASE),
        "a help text: are its args right?",
    ),
    (re.compile(rb"\A\s*[\[{]\s*\Z"), "JSON over several lines: a message must be one line, without indentation"),
    (re.compile(rb"\A\s*[\[{].*[\]}]\s*\Z", re.DOTALL), "JSON, but no message of JSON-RPC"),
    (re.compile(rb"\x1b|[^\n]\r[^\n]|\xe2[\xa0-\xa3][\x80-\xbf]"), "a display for a terminal, with control codes"),
    (re.compile(rb"[$#>:?]\s*\Z"), "a prompt: it waits for a person"),
    (re.compile(rb"[\x00-\x08\x0e-\x1a]"), "binary data"),
)
"""What lines look like, the surest sign first."""


@dataclass(slots=True)
class StrayOutput:
    """Counter of the lines of `program` that are not messages.

    `secrets` are masked in what is shown.
    """

    program: str
    secrets: tuple[str, ...] = ()
    lines: int = 0
    first: bytes = b""
    is_answered: bool = True
    """Whether an answer has come since the last stray line."""
    _recent: int = 0
    _first_recent: bytes = b""
    _first_recent_id: int | None = None
    is_indented: bool = False
    """Whether messages are among them, each over several lines."""
    _next: int = 1
    _has_brace: bool = False

    def on_line(self, line: bytes, request_id: int | None = None) -> None:
        """Count a stray line; warn at powers of ten.

        These are the first line, the tenth, the hundredth and so on. `request_id` is that of the only request without
        an answer, if there is just one.
        """
        self.lines += 1
        self._has_brace |= line == b"{"
        self.is_indented |= self._has_brace and line.startswith(b'"jsonrpc"')
        if self.lines == 1:
            self.first = line[:_READ]
        if self.is_answered:
            self.is_answered, self._recent = False, 0
            self._first_recent, self._first_recent_id = line[:_READ], request_id
        self._recent += 1
        if log.isEnabledFor(logging.DEBUG):
            log.debug("stray output", extra={"program": self.program, "line": self._to_text(line)})
        if self.lines == self._next:
            self._next *= 10
            facts = {"program": self.program, "lines": self.lines, "line": self._to_text(line), "hint": _HINT}
            log.warning("stray output skipped", extra=facts)

    @property
    def is_framed(self) -> bool:
        """Whether it began with the header of another protocol."""
        return self.lines > 0 and _FRAMES.match(self.first) is not None

    @property
    def summary(self) -> str:
        """Number of the lines, the first one and its kind, as text."""
        return self._describe(self.lines, self.first, is_quoted=True)

    def describe_recent(self, request_id: int | None) -> str:
        """Return the `summary` of those since the last answer; empty if none.

        The first one is quoted only to the request that it can be about, as it may hold the answer of another.
        """
        if self.is_answered:
            return ""
        is_quoted = request_id is not None and request_id == self._first_recent_id
        return self._describe(self._recent, self._first_recent, is_quoted=is_quoted)

    def _describe(self, lines: int, first: bytes, *, is_quoted: bool) -> str:
        count = "1 line" if lines == 1 else f"{lines} lines"
        shown = (
            f"it wrote {count} to standard output that {'is no MCP message' if lines == 1 else 'are no MCP messages'}"
        )
        if is_quoted:
            shown += f", first {self._to_text(first)!r}"
        kind = next((words for pattern, words in _KINDS if pattern.search(first)), None)
        return shown if kind is None else f"{shown} ({kind})"

    def _to_text(self, line: bytes) -> str:
        """Return a line without what only terminals understand."""
        text = _ESCAPE_CODE.sub("", mask_values(line[:_READ].decode("utf-8", "replace"), self.secrets))
        text = "".join(character if character.isprintable() else " " for character in text)
        return " ".join(text.split())[:_SHOWN]
