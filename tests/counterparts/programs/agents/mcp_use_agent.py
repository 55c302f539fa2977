"""mcp-use for Python."""

import asyncio

from langchain_openai import ChatOpenAI
from mcp_use import MCPAgent, MCPClient
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
    entry = {"url": URL} if URL else {"command": COMMAND, "args": ARGUMENTS, "env": ENVIRONMENT}
    client = MCPClient({"mcpServers": {"gateway": entry}})
    session = await client.create_session("gateway")
    prompt = await session.get_prompt(PROMPT, PROMPT_ARGUMENTS)
    print_report(prompt=prompt, resource=await session.read_resource(RESOURCE))
    agent = MCPAgent(llm=ChatOpenAI(model=MODEL, base_url=MODEL_URL, api_key=KEY), client=client, max_steps=10)
    await agent.run(TASK)
    await client.close_all_sessions()


asyncio.run(main())
