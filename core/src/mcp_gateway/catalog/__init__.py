"""Catalog of the servers' listings, and resolution of names in it."""
