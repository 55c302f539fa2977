"""What several commands say people may type next."""

NO_SERVERS = "no servers are configured; add one: mcp-orchestration-gateway add NAME -- COMMAND"
"""Where there are no servers."""
