"""Shapes of MCP messages, for both the client and the server side."""
