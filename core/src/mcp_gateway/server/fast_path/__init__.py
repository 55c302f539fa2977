"""`tools/call` and `tools/list` answered as bytes, past the SDK."""
