"""The window: a process that connects a client to a shared gateway.

The client starts it as it starts any gateway over stdio. It imports neither the SDK nor pydantic, to start at once.
"""
