"""Requests of the built-in tools, read as clients write them."""
