"""Commands that edit the file of servers."""
