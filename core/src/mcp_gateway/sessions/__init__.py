"""Sessions with servers: opened once, shared by callers.

Each is owned by a task.
"""
