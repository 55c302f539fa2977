"""`python -m mcp_gateway`: the same as `python -m mcp_gateway.main`."""

import sys

from mcp_gateway.main import main

if __name__ == "__main__":
    sys.exit(main())
