"""LlamaIndex."""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
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
    client = BasicMCPClient(URL) if URL else BasicMCPClient(COMMAND, args=ARGUMENTS, env=ENVIRONMENT)
    prompt = await client.get_prompt(PROMPT, PROMPT_ARGUMENTS)
    print_report(prompt=prompt, resource=await client.read_resource(RESOURCE))
    tools = await McpToolSpec(client=client).to_tool_list_async()
    llm = OpenAILike(model=MODEL, api_base=MODEL_URL, api_key=KEY, is_chat_model=True, is_function_calling_model=True)
    await FunctionAgent(tools=tools, llm=llm).run(TASK)


asyncio.run(main())
