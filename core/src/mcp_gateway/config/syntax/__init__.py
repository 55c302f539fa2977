"""Syntax of configuration files: JSON with comments, TOML, YAML."""
