"""HTTP/1 requests of clients, bounded before authentication."""
