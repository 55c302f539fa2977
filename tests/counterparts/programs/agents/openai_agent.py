"""OpenAI's Agents SDK."""

import asyncio

from agents import Agent, AsyncOpenAI, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
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

set_tracing_disabled(True)


async def main() -> None:
    stdio = {"command": COMMAND, "args": ARGUMENTS, "env": ENVIRONMENT}
    options = {"client_session_timeout_seconds": 60}
    opened = MCPServerStreamableHttp({"url": URL}, **options) if URL else MCPServerStdio(stdio, **options)
    async with opened as server:
        prompt = await server.get_prompt(PROMPT, PROMPT_ARGUMENTS)
        print_report(prompt=prompt, resource=await server.read_resource(RESOURCE))
        model = OpenAIChatCompletionsModel(MODEL, AsyncOpenAI(base_url=MODEL_URL, api_key=KEY))
        await Runner.run(Agent(name="agent", model=model, mcp_servers=[server]), TASK)


asyncio.run(main())
