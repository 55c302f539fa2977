"""FastMCP as a proxy, as its documentation makes one: fastmcp_proxy.py FILE (http PORT | stdio) [bm25]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fastmcp.server import create_proxy

file, transport, *options = sys.argv[1:]
proxy = create_proxy(json.loads(Path(file).read_text()), name="gateway")
if "bm25" in options:
    from fastmcp.server.transforms.search import BM25SearchTransform

    proxy.add_transform(BM25SearchTransform())
if transport == "http":
    proxy.run(transport="http", host="127.0.0.1", port=int(options[0]), show_banner=False)
else:
    proxy.run(transport="stdio", show_banner=False)
