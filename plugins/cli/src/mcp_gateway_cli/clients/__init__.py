"""Programs with MCP servers: their files, import and connection."""
