"""The Python SDK 2.x."""

import asyncio

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from report import use
from settings import ARGUMENTS, COMMAND, ENVIRONMENT, URL


async def main() -> None:
    stdio = StdioServerParameters(command=COMMAND, args=ARGUMENTS, env=ENVIRONMENT)
    async with Client(URL or stdio) as client:

        async def read(uri: str) -> str:
            return (await client.read_resource(uri)).contents[0].text

        await use(
            tools=client.list_tools,
            call=client.call_tool,
            prompts=client.list_prompts,
            prompt=client.get_prompt,
            resources=client.list_resources,
            read=read,
        )


asyncio.run(main())
