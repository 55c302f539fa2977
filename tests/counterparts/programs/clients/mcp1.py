"""The Python SDK 1.x."""

import asyncio
from contextlib import AsyncExitStack

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from pydantic import AnyUrl
from report import use
from settings import ARGUMENTS, COMMAND, ENVIRONMENT, URL


async def main() -> None:
    async with AsyncExitStack() as stack:
        stdio = StdioServerParameters(command=COMMAND, args=ARGUMENTS, env=ENVIRONMENT)
        opened = streamablehttp_client(URL) if URL else stdio_client(stdio)
        incoming, outgoing, *_ = await stack.enter_async_context(opened)
        session = await stack.enter_async_context(ClientSession(incoming, outgoing))
        await session.initialize()

        async def read(uri: str) -> str:
            return (await session.read_resource(AnyUrl(uri))).contents[0].text

        await use(
            tools=session.list_tools,
            call=session.call_tool,
            prompts=session.list_prompts,
            prompt=session.get_prompt,
            resources=session.list_resources,
            read=read,
        )


asyncio.run(main())
