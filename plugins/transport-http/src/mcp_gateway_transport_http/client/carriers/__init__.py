"""Carriers of requests: connections of our own, or httpx2."""
