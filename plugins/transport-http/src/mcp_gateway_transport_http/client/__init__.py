"""Towards a server over HTTP: streams, bodies, errors, address checks."""
