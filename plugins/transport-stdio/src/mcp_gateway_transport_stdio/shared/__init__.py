"""One gateway for several windows.

A window is a process that a client starts as it starts any gateway over stdio.
"""
