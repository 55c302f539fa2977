"""Gateways of this user that run, asked by their local sockets."""
