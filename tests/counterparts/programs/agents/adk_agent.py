"""Google's Agent Development Kit."""

import asyncio

from google.adk.agents import LlmAgent
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams, StreamableHTTPConnectionParams
from google.genai import types
from mcp import StdioServerParameters
from report import print_report
from settings import ARGUMENTS, COMMAND, ENVIRONMENT, KEY, MODEL, MODEL_URL, TASK, URL


async def main() -> None:
    stdio = StdioServerParameters(command=COMMAND, args=ARGUMENTS, env=ENVIRONMENT)
    reach = StreamableHTTPConnectionParams(url=URL) if URL else StdioConnectionParams(server_params=stdio, timeout=60)
    toolset = McpToolset(connection_params=reach)
    model = LiteLlm(model=f"openai/{MODEL}", api_base=MODEL_URL, api_key=KEY)
    runner = InMemoryRunner(agent=LlmAgent(name="agent", model=model, tools=[toolset]), app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="user")
    message = types.Content(role="user", parts=[types.Part(text=TASK)])
    try:
        # It names resources by their names.
        names = await toolset.list_resources()
        (document,) = await toolset.read_resource(next(name for name in names if "architecture" in name))
        print_report(resource=document.text)
        async for _ in runner.run_async(user_id="user", session_id=session.id, new_message=message):
            pass
    finally:
        await toolset.close()


asyncio.run(main())
