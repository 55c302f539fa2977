"""CrewAI, with its adapter for MCP."""

from crewai import LLM, Agent, Crew, Task
from crewai_tools import MCPServerAdapter
from mcp import StdioServerParameters
from settings import ARGUMENTS, COMMAND, ENVIRONMENT, KEY, MODEL, MODEL_URL, TASK, URL

stdio = StdioServerParameters(command=COMMAND, args=ARGUMENTS, env=ENVIRONMENT)
reach = {"url": URL, "transport": "streamable-http"} if URL else stdio
with MCPServerAdapter(reach, connect_timeout=60) as tools:
    llm = LLM(model=f"openai/{MODEL}", base_url=MODEL_URL, api_key=KEY)
    agent = Agent(role="agent", goal=TASK, backstory="none", tools=list(tools), llm=llm)
    Crew(agents=[agent], tasks=[Task(description=TASK, expected_output="a word", agent=agent)]).kickoff()
