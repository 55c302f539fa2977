"""The server side: ASGI application, connections of clients, and their sessions."""
