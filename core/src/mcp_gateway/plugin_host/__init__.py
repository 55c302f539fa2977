"""Loading plugins and looking up their providers."""
