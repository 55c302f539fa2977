"""Undocumented names of uvicorn that the server transport relies on.

A release of uvicorn may change them without notice, which is why it has an upper bound.
`tests/test_uvicorn.py` says what breaks then, and has the attributes that `BoundedProtocol` and
`MessageProtocol` rely on: run it against a new release before the bound is raised.
"""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

__all__ = ["HIGH_WATER_LIMIT", "STATUS_LINE", "FlowControl", "HttpToolsProtocol", "ServerState"]
