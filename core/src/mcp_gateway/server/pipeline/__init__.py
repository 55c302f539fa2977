"""The pipeline of clients' requests: bytes in, bytes out."""
