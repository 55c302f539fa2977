"""Functions that plugins of several kinds need."""
