"""Servers that another transport reaches than the one that was tried first."""
