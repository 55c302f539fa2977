"""Commands that serve, or ask gateways that do."""
