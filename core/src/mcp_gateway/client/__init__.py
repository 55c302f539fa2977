"""One connection to a server, as an MCP client."""
