"""The command line: serving, looking at the configuration, and doing what a model would do."""
