"""A server as a child process: its command, its pipes, its end."""
