"""Plain calls as bytes, past the SDK and ASGI."""
