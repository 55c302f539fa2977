"""Findings on configuration, machine and servers, each with its mend."""
