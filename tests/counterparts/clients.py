"""The published clients that are tried: SDKs, command lines and agent frameworks."""

from __future__ import annotations

from ..bench.environments import NodeEnvironment
from .client_programs import (
    ABILITIES,
    BRIDGE,
    EVERY_TOOL,
    INSPECTOR,
    PROMPTS,
    RESOURCES,
    ClientProgram,
)
from .pages import DOCS, Page

ALL = frozenset(ABILITIES)


def direct(name: str, program: str, *requirements: str, package: NodeEnvironment | None = None) -> ClientProgram:
    """Return a client that calls by itself."""
    can = EVERY_TOOL | {PROMPTS, RESOURCES} if package is INSPECTOR else ALL
    return ClientProgram(name, f"clients/{program}", requirements, can, package)


def agent(name: str, program: str, *requirements: str, also: tuple[str, ...] = ()) -> ClientProgram:
    """Return an agent framework; `also` is what it can do beside calling tools that are listed."""
    return ClientProgram(name, f"agents/{program}", requirements, EVERY_TOOL | {*also})


CLIENTS = (
    direct("Python SDK 1.x", "mcp1.py", "mcp<2"),
    direct("Python SDK 2.x", "mcp2.py", "mcp>=2"),
    direct("TypeScript SDK 1.x", "ts1.mjs", "@modelcontextprotocol/sdk@1"),
    direct("TypeScript SDK 2.x", "ts2.mjs", "@modelcontextprotocol/client@2"),
    direct("FastMCP", "fastmcp_client.py", "fastmcp>=4"),
    direct("mcp-remote", "mcp1.py", "mcp<2", package=BRIDGE),
    direct("Inspector", "inspector_cli.py", package=INSPECTOR),
    agent(
        "LangChain",
        "langchain_agent.py",
        *("langchain-mcp-adapters", "langchain", "langchain-openai"),
        also=(PROMPTS, RESOURCES),
    ),
    agent("Pydantic AI", "pydantic_agent.py", "pydantic-ai-slim[mcp,openai]", also=(PROMPTS, RESOURCES)),
    agent("OpenAI Agents", "openai_agent.py", "openai-agents", also=(PROMPTS, RESOURCES)),
    agent("Google ADK", "adk_agent.py", "google-adk", "litellm", "mcp<2", also=(RESOURCES,)),
    agent("CrewAI", "crewai_agent.py", "crewai", "crewai-tools[mcp]"),
    agent(
        "LlamaIndex",
        "llamaindex_agent.py",
        *("llama-index-tools-mcp", "llama-index-core", "llama-index-llms-openai-like"),
        also=(PROMPTS, RESOURCES),
    ),
    agent("smolagents", "smolagents_agent.py", "smolagents[mcp,openai]", "mcp<2"),
    agent(
        "AutoGen",
        "autogen_agent.py",
        *("autogen-ext[mcp,openai]", "autogen-agentchat", "mcp<2"),
        also=(PROMPTS, RESOURCES),
    ),
    agent("mcp-use", "mcp_use_agent.py", "mcp-use", "langchain-openai", also=(PROMPTS, RESOURCES)),
    agent("Vercel AI", "vercel.mjs", "@ai-sdk/mcp", "ai", "@ai-sdk/openai-compatible", also=(PROMPTS, RESOURCES)),
)

TEXT = """\
# Clients

Published SDKs, command lines and agent frameworks, tried with the gateway over stdio and HTTP while a server stands
behind it whose definitions are odd. `tox -e clients` tries them all and writes this page; `tox -e clients -- LangChain`
tries one and replaces its rows. Agents are driven by a model that follows a script, so a column says what the framework
lets a model do; a cell is empty where it has no way to ask.

Frameworks let a model call only tools that were listed. What `tool_search` has found is called by `call_remote_tool`
there, which works everywhere; or list a server's tools with `"expose_tools": true` (the column "a listed tool").

mcp-use refuses all tools if one server has a prompt without a description, which is a right definition: the gateway
leaves it as it is.

"""
PAGE = Page(
    DOCS / "clients.md",
    TEXT,
    ("client", "over", "version", *ABILITIES),
    [(client.name, over) for client in CLIENTS for over in client.transports],
)
