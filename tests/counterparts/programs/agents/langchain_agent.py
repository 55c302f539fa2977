"""LangChain, with its adapters for MCP."""

import asyncio

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI
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
    stdio = {"transport": "stdio", "command": COMMAND, "args": ARGUMENTS, "env": ENVIRONMENT}
    client = MultiServerMCPClient({"gateway": {"transport": "streamable_http", "url": URL} if URL else stdio})
    prompt = await client.get_prompt("gateway", PROMPT, arguments=PROMPT_ARGUMENTS)
    (resource,) = await client.get_resources("gateway", uris=RESOURCE)
    print_report(prompt=prompt, resource=resource.as_string())
    agent = create_agent(ChatOpenAI(model=MODEL, base_url=MODEL_URL, api_key=KEY), await client.get_tools())
    await agent.ainvoke({"messages": [{"role": "user", "content": TASK}]})


asyncio.run(main())
