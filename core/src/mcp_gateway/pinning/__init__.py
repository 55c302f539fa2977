"""Detecting changed tool definitions."""
