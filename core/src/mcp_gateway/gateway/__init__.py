"""The use cases: discover, search, call."""
