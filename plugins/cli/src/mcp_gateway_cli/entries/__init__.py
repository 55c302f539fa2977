"""The entries of servers in a file, edited one by one."""
