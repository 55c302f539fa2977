"""Client side of HTTP: streams, bodies, errors, address checks."""
