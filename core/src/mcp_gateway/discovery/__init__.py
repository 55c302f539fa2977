"""Keeping the catalog current."""
