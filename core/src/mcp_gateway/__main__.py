"""`python -m mcp_gateway`: the same as the command `mcp-orchestration-gateway`."""

import sys

from mcp_gateway.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
