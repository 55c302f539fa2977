"""Towards a server over HTTP: one channel for every message."""
