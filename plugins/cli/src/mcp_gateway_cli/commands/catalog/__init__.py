"""Verbs about tools: list, find, describe and call them."""
