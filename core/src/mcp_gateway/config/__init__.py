"""Reading the configuration: text in, settled values with their plugins chosen out."""
