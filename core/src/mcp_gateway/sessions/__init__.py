"""Sessions with servers: opened once, shared by callers.

Each session is opened and closed by a task of its own, because the cancel scopes of its transport must be left by the
task that entered them. Callers only borrow it.
"""
