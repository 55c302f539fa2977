"""Indexes over the catalog."""
