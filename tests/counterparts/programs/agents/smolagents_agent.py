"""smolagents."""

from mcp import StdioServerParameters
from settings import ARGUMENTS, COMMAND, ENVIRONMENT, KEY, MODEL, MODEL_URL, TASK, URL
from smolagents import MCPClient, OpenAIServerModel, ToolCallingAgent

stdio = StdioServerParameters(command=COMMAND, args=ARGUMENTS, env=ENVIRONMENT)
with MCPClient({"url": URL, "transport": "streamable-http"} if URL else stdio, structured_output=False) as tools:
    model = OpenAIServerModel(MODEL, api_base=MODEL_URL, api_key=KEY)
    ToolCallingAgent(tools=tools, model=model, max_steps=8).run(TASK)
