"""Questions of servers, asked on the terminal (elicitation)."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread

from mcp_gateway.control.terminal import complain, complain_text
from mcp_gateway.plugin import ConfigError
from mcp_gateway_cli.calls.form_fields import FormField, read_fields
from mcp_gateway_cli.calls.prompt import ReadLineFn

Json = dict[str, Any]

_DECLINED: Json = {"action": "decline"}
_NO = ("n", "no")
_YES = ("y", "yes")


@dataclass(frozen=True, slots=True)
class TerminalQuestions:
    """What answers the questions of a tool's server.

    `pause` is entered while a person is asked, so that nothing else is written to the terminal.
    """

    asker: str
    read_line: ReadLineFn
    pause: Callable[[], AbstractContextManager[None]]
    open_page: Callable[[str], object] = webbrowser.open

    async def answer(self, method: str, params: Json) -> Json:
        """Answer a question.

        Raises:
            ConfigError: it is none that a person can answer here.

        """
        if method != "elicitation/create":
            raise ConfigError(f"{self.asker} asks for {method}, which a command line cannot answer")
        with self.pause():
            complain(f"{self.asker} asks:")
            complain_text(str(params.get("message", "")))
            return await (self._visit(params) if params.get("mode") == "url" else self._fill(params))

    async def _fill(self, params: Json) -> Json:
        """Ask for each field of a form; the end of input declines."""
        fields = read_fields(params.get("requestedSchema"))
        if not fields:
            return {"action": "accept", "content": {}} if await self._agree("agree? [y/n] ") else _DECLINED
        complain("(an empty line leaves out what is optional; Ctrl-D declines)")
        content: Json = {}
        for field in fields:
            if (found := await self._ask_field(field)) is None:
                complain("", "declined")
                return _DECLINED
            content |= found
        return {"action": "accept", "content": content}

    async def _ask_field(self, field: FormField) -> Json | None:
        """Ask until an answer fits; return it by name.

        None at the end of input.
        """
        while (line := await self.read_line(field.prompt)) is not None:
            try:
                return field.read(line.strip())
            except ValueError as error:
                complain(str(error))
        return None

    async def _visit(self, params: Json) -> Json:
        url = str(params.get("url", ""))
        if not (host := _find_host(url)):
            complain(f"it wants {url!r} to be opened, which is no web page: declined")
            return _DECLINED
        complain(f"the page is at {host}:", f"  {url}")
        if not await self._agree("open it? [y/n] "):
            return _DECLINED
        await anyio.to_thread.run_sync(self.open_page, url, abandon_on_cancel=True)
        if await self.read_line("press Enter when you are done there, Ctrl-D to give up: ") is None:
            return _DECLINED
        return {"action": "accept"}

    async def _agree(self, prompt: str) -> bool:
        while (line := await self.read_line(prompt)) is not None:
            if (word := line.strip().lower()) in (*_YES, *_NO):
                return word in _YES
        return False


def _find_host(url: str) -> str:
    """Return the host of a web page; empty if it is none.

    What stands before an @ could be taken for the host.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.hostname or "" if parts.scheme in ("http", "https") else ""
