"""Downstream sessions: opened once, held by a task of their own, and lent to callers."""
