"""Pydantic AI."""

import asyncio

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from report import print_report
from settings import (
    ARGUMENTS,
    COMMAND,
    ENVIRONMENT,
    KEY,
    MODEL,
    MODEL_URL,
    PROMPT,
    PROMPT_ARGUMENTS,
    RESOURCE,
    TASK,
    URL,
)


async def main() -> None:
    toolset = MCPToolset(URL or StdioTransport(COMMAND, ARGUMENTS, env=ENVIRONMENT, keep_alive=False))
    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=MODEL_URL, api_key=KEY))
    agent = Agent(model, toolsets=[toolset])
    async with agent:
        prompt = await toolset.get_prompt(PROMPT, PROMPT_ARGUMENTS)
        print_report(prompt=prompt, resource=await toolset.read_resource(RESOURCE))
        await agent.run(TASK)


asyncio.run(main())
