"""The local socket by which commands ask a running gateway."""
