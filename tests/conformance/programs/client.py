"""The client that the suite judges: one of the SDK, of either era, with the gateway between it and the suite's server.

client.py --era handshake|modern URL
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

GATEWAY = str(Path(sys.executable).parent / "mcp-gateway")
MODES = {"handshake": "legacy", "modern": "2026-07-28"}
HIDDEN = {
    "invalid_empty_header": {"value": "x"},
    "invalid_number_header": {"score": 1.5},
    "invalid_duplicate_same_case": {"field1": "x", "field2": "y"},
}
"""Tools that must not be called, and arguments for them."""


async def sampled(_: Any, __: Any) -> types.CreateMessageResult:
    content = types.TextContent(type="text", text="word")
    return types.CreateMessageResult(role="assistant", content=content, model="none")


async def rooted(_: Any) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri="file:///home", name="home")])


class Driver:
    """Does what the scenarios want a client to do."""

    def __init__(self, target: StdioServerParameters, era: str) -> None:
        self.client = Client(
            target,
            mode=MODES[era],
            cache=None,
            elicitation_callback=self.elicited,
            sampling_callback=sampled,
            list_roots_callback=rooted,
        )
        self.meanwhile: list[str] = []
        """Tools to call while a question is open."""

    async def elicited(self, _: Any, params: Any) -> types.ElicitResult:
        """Accept, with the defaults of the form."""
        while self.meanwhile:
            await self.client.call_tool(self.meanwhile.pop(), {})
        fields = params.requested_schema.get("properties", {})
        given = {name: field.get("default", True) for name, field in fields.items()}
        return types.ElicitResult(action="accept", content=given)

    async def tools(self) -> dict[str, types.Tool]:
        """Return all tools by name."""
        return {tool.name: tool for tool in (await self.client.list_tools()).tools}

    async def call_all(self) -> None:
        """Call every tool that is listed."""
        for name, tool in (await self.tools()).items():
            wanted = tool.input_schema.get("required", [])
            with_numbers = {key: 3 if key in ("a", "b") else "x" for key in wanted}
            await self.client.call_tool(name, with_numbers)

    async def call_what_is_told(self) -> None:
        """Call the tools that the suite names, with its arguments."""
        await self.tools()
        for told in json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"])["toolCalls"]:
            await self.client.call_tool(told["name"], told["arguments"])

    async def send_back_a_schema(self) -> None:
        """Call the echo with another tool's schema."""
        schema = (await self.tools())["json_schema_2020_12_tool"].input_schema
        await self.client.call_tool("json_schema_echo", {"schema": schema})

    async def answer_questions(self) -> None:
        """Call the tools that ask, and in between one that does not."""
        self.meanwhile.append("test_mrtr_unrelated")
        for name in ("test_mrtr_echo_state", "test_mrtr_no_state", "test_mrtr_no_result_type"):
            await self.client.call_tool(name, {})

    async def use_everything(self) -> None:
        """Call, read and get all that there is."""
        await self.call_all()
        for resource in (await self.client.list_resources()).resources:
            await self.client.read_resource(resource.uri)
        for prompt in (await self.client.list_prompts()).prompts:
            await self.client.get_prompt(prompt.name, {})

    async def call_the_hidden(self) -> None:
        """Call all tools that are listed, then some that are not: those calls must not reach the server."""
        await self.call_all()
        for name, arguments in HIDDEN.items():
            try:
                await self.client.call_tool(name, arguments)
            except MCPError as error:
                print(f"refused, as it must be: {error}", file=sys.stderr)


DEEDS: dict[str, Callable[[Driver], Awaitable[Any]]] = {
    "http-custom-headers": Driver.call_what_is_told,
    "http-standard-headers": Driver.use_everything,
    "http-invalid-tool-headers": Driver.call_the_hidden,
    "json-schema-2020-12-preservation": Driver.send_back_a_schema,
    "sep-2322-client-request-state": Driver.answer_questions,
    "json-schema-ref-no-deref": Driver.tools,
    "initialize": Driver.tools,
}
"""What to do in a scenario; in all others every tool is called."""


async def drive(target: StdioServerParameters, era: str) -> None:
    """Connect and do it."""
    driver = Driver(target, era)
    async with driver.client:
        await DEEDS.get(os.environ["MCP_CONFORMANCE_SCENARIO"], Driver.call_all)(driver)


def main() -> None:
    """Put the gateway between."""
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    parser = argparse.ArgumentParser()
    parser.add_argument("--era", choices=sorted(MODES), required=True)
    parser.add_argument("url")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "servers.json"
        server = {"name": "suite", "url": arguments.url, "namespace": None, "expose_tools": True}
        config.write_text(json.dumps({"servers": [server]}), encoding="utf-8")
        gateway = StdioServerParameters(command=GATEWAY, env={"SERVER_CONFIG_PATH": str(config)}, cwd=folder)
        anyio.run(drive, gateway, arguments.era)


if __name__ == "__main__":
    main()
