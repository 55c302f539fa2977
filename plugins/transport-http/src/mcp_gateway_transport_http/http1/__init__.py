"""HTTP/1 requests of clients, bounded before anybody is authenticated."""
