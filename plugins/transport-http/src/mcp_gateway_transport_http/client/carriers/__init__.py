"""How a request gets to a server: a connection of our own, or httpx2."""
