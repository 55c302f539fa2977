"""Command line: serving, configuration checks, and tool calls.

The calls are those of a client, as a model would make them.
"""
