"""Secrets in entries: hidden when shown, and moved into a keyring."""
