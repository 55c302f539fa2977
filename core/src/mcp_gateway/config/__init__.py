"""Configuration: from files and environment to validated values."""
