"""Calls of tools by a running gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_gateway.control.gateways.client import Refusal, RunningClient
from mcp_gateway.control.local_client import (
    PROGRESS,
    QUESTIONS,
    AnswerFn,
    ProgressFn,
    describe_progress,
    error_result,
    send_and_answer,
)
from mcp_gateway.protocol.raw_json import encode_members
from mcp_gateway.protocol.tool_names import split_name

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunningCaller:
    """Calls the tools of a gateway that runs, by its local socket."""

    client: RunningClient

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        answer: AnswerFn | None = None,
        on_progress: ProgressFn | None = None,
    ) -> Json:
        """Call a tool of the gateway; return the unmodified result.

        A JSON-RPC error becomes a result with `isError`. Without `answer` servers cannot ask anything.
        """
        more = {"capabilities": QUESTIONS if answer else {}, "progress": on_progress is not None}

        def on_notification(method: str, params: Json) -> None:
            if on_progress is not None and method == PROGRESS:
                on_progress(describe_progress(encode_members(params)))

        async def send(params: Json) -> Json:
            request = {"method": "tools/call", "params": params, **more}
            return await self.client.ask("request", request, on_notification)

        try:
            return await send_and_answer(send, {"name": tool, "arguments": dict(arguments)}, answer)
        except Refusal as error:
            return error_result(str(error))

    async def find_schema(self, tool: str) -> Json:
        """Return the input schema of a tool by its full name.

        It is empty if the tool is not listed: the call then says why.
        """
        server = split_name(tool)
        if server is None:
            return {}
        result = await self.call("discover_tools", {"server_name": server[0]})
        listed = (result.get("structuredContent") or {}).get("tools") or []
        found = next((one.get("input_schema") for one in listed if one.get("tool_name") == tool), None)
        return found if isinstance(found, dict) else {}
