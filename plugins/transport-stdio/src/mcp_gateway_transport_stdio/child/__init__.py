"""A server as a child process: command, pipes, termination."""
