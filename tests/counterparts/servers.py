"""The published servers that are tried: they need no key, and no network to list what they have."""

from __future__ import annotations

from .pages import DOCS, Page
from .server_programs import Json, PublishedServer


def npm(package: str, *arguments: str, call: tuple[str, Json] | None = None, program: str = "") -> PublishedServer:
    """Return a server from npm."""
    return PublishedServer(package, program, arguments, call, is_on_npm=True)


def pypi(
    package: str,
    *arguments: str,
    call: tuple[str, Json] | None = None,
    program: str = "",
    beside: tuple[str, ...] = (),
    **variables: str,
) -> PublishedServer:
    """Return a server from PyPI; `variables` are set in its environment."""
    return PublishedServer(package, program, arguments, call, tuple(variables.items()), beside)


THOUGHT = {"thought": "x", "thoughtNumber": 1, "totalThoughts": 1, "nextThoughtNeeded": False}
BOILING = {"value": 100, "from_unit": "celsius", "to_unit": "fahrenheit"}
NOON = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
CLOSED = "http://127.0.0.1:9/"
"""A URL that nobody serves."""

SERVERS = (
    npm("@modelcontextprotocol/server-everything", "stdio", call=("get-sum", {"a": 2, "b": 3})),
    npm("@modelcontextprotocol/server-filesystem", ".", call=("read_text_file", {"path": "file.txt"})),
    npm("@modelcontextprotocol/server-memory", call=("read_graph", {})),
    npm("@modelcontextprotocol/server-sequential-thinking", call=("sequentialthinking", THOUGHT)),
    npm("@modelcontextprotocol/server-budget-allocator", "--stdio", call=("get-budget-data", {})),
    npm("@modelcontextprotocol/server-scenario-modeler", "--stdio", call=("get-scenario-data", {})),
    npm("@modelcontextprotocol/server-threejs", "--stdio", call=("learn_threejs", {})),
    npm("@accesslint/mcp", call=("list_rules", {})),
    npm("@antv/mcp-server-chart"),
    npm("@cyanheads/git-mcp-server"),
    npm("@cyanheads/pubmed-mcp-server"),
    npm("@eslint/mcp"),
    npm("@mui/mcp"),
    npm("@negokaz/excel-mcp-server"),
    npm("@playwright/mcp"),
    npm("@sylphx/pdf-reader-mcp"),
    npm("@upstash/context7-mcp"),
    npm("chrome-devtools-mcp"),
    npm("fetcher-mcp"),
    npm("mcp-echarts"),
    npm("mcp-hello-world", call=("echo", {"message": "x"})),
    npm("mcp-mermaid"),
    npm("mcp-server-code-runner"),
    npm("open-meteo-mcp-server"),
    pypi("arxiv-mcp-server", call=("list_papers", {})),
    pypi("code-index-mcp", call=("get_settings_info", {})),
    pypi("duckduckgo-mcp-server"),
    pypi("es-mcp", "stdio", call=("list_indices", {"index_pattern": "*"}), ES_URL=CLOSED),
    pypi("excel-mcp-server", "stdio"),
    pypi("markitdown-mcp", call=("convert_to_markdown", {"uri": "data:text/plain,hello"})),
    pypi("mcp-nixos"),
    pypi("mcp-server-calculator", call=("calculate", {"expression": "2+3"})),
    pypi("mcp-server-fetch", call=("fetch", {"url": CLOSED})),
    pypi("mcp-server-git", call=("git_log", {"repo_path": "repository"})),
    pypi("mcp-server-sqlite", "--db-path", "data.db", beside=("mcp<2",), call=("list_tables", {})),
    pypi("mcp-server-time", "--local-timezone", "UTC", call=("convert_time", NOON)),
    pypi("mcp-simple-timeserver"),
    pypi("mcp-text-editor", beside=("mcp<2",)),
    pypi("mcp-weather-server", program="mcp_weather_server", beside=("mcp<2",)),
    pypi("office-word-mcp-server", program="word_mcp_server", call=("list_available_documents", {"directory": "."})),
    pypi("unit-converter-mcp", call=("convert_temperature", BOILING)),
    pypi("wikipedia-mcp"),
)

TEXT = """\
# Published servers

Servers from PyPI and npm that need no account, asked directly and through the gateway with `"namespace": null` and
`"expose_tools": true`, over stdio and without a network. Each definition, and the result of a call where one is named,
is compared as JSON, an error like any other. `tox -e servers` does it and writes this page;
`tox -e servers -- mcp-server-git` tries one and replaces its row. What the gateway adds to a definition is
`"properties": {}` where an input schema has none.

"""
PAGE = Page(
    DOCS / "published-servers.md",
    TEXT,
    ("server", "from", "version", "tools", "prompts", "resources", "templates", "called", "through the gateway"),
    [(server.package, "npm" if server.is_on_npm else "PyPI") for server in SERVERS],
)
