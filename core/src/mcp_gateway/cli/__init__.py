"""Command line: serving, configuration checks, and tool calls.

Tool calls go through an MCP client, like those of a model.
"""
