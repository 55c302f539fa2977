"""Servers that are not reached in the way that is tried first."""
