"""Loops: gateways that would be behind themselves, and how they are found."""
