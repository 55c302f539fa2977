"""MCP message shapes that both sides share."""
