"""Authentication of clients: bearer tokens and an OAuth resource server."""
