"""Calls of tools: arguments, questions of servers, and results."""
