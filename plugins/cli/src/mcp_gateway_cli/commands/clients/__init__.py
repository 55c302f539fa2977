"""Verbs for programs with MCP servers: init, import, connect, disconnect, undo."""
