"""AutoGen."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams, StreamableHttpServerParams
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
    stdio = StdioServerParams(command=COMMAND, args=ARGUMENTS, env=ENVIRONMENT, read_timeout_seconds=60)
    can = {"vision": False, "function_calling": True, "json_output": False, "family": "unknown"}
    can["structured_output"] = False
    model = OpenAIChatCompletionClient(model=MODEL, base_url=MODEL_URL, api_key=KEY, model_info=can)
    async with McpWorkbench(StreamableHttpServerParams(url=URL) if URL else stdio) as workbench:
        prompt = await workbench.get_prompt(PROMPT, PROMPT_ARGUMENTS)
        print_report(prompt=prompt, resource=await workbench.read_resource(RESOURCE))
        agent = AssistantAgent("agent", model_client=model, workbench=workbench, max_tool_iterations=8)
        await agent.run(task=TASK)


asyncio.run(main())
