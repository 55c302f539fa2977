"""The way of a client's request: read once, answered, and written back in bytes."""
