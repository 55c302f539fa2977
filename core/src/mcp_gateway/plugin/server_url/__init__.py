"""URLs of servers: the options, and why one cannot be reached."""
