"""Process concerns: logging, signals, memory, imports."""
