"""The gateway as an MCP server: what clients see of it."""
