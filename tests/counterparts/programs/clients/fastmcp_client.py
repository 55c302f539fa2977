"""FastMCP's client."""

import asyncio

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from report import use
from settings import ARGUMENTS, COMMAND, ENVIRONMENT, URL


async def main() -> None:
    async with Client(URL or StdioTransport(COMMAND, ARGUMENTS, env=ENVIRONMENT, keep_alive=False)) as client:

        async def read(uri: str) -> str:
            return (await client.read_resource(uri))[0].text

        await use(
            tools=client.list_tools,
            call=client.call_tool,
            prompts=client.list_prompts,
            prompt=client.get_prompt,
            resources=client.list_resources,
            read=read,
        )


asyncio.run(main())
