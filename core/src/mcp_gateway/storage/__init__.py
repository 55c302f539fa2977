"""The storage backend as the gateway uses it."""
