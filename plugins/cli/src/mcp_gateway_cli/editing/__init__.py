"""Editing of configuration files that keeps comments, order and style."""
