"""Forms of the server file: our own, and those of other programs."""
