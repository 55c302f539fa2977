"""All that can be measured, by name; the first are the yardsticks of the others."""

from __future__ import annotations

from .base import PAIRS, Launch, Peer, Place, Server
from .compiled import Compressor, Envoy, McpHub, Slop
from .gateway import ExposingGateway, Gateway, ModernGateway, SearchingGateway
from .python import (
    FastMcp,
    FastMcpAtItsBest,
    FastMcpGateway,
    FastMcpModern,
    FastMcpSearch,
    Forerunner,
    McpProxy,
    Pmcp,
)
from .yardsticks import Asgi, Direct, Nginx, PlainAsgi, Raw

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Direct(),
        Raw(),
        Asgi(),
        PlainAsgi(),
        Nginx(),
        Gateway(),
        ModernGateway(),
        SearchingGateway(),
        ExposingGateway(),
        Forerunner(),
        FastMcp(),
        FastMcpAtItsBest(),
        FastMcpModern(),
        FastMcpSearch(),
        McpProxy(),
        FastMcpGateway(),
        Pmcp(),
        Envoy(),
        Compressor(),
        Slop(),
        McpHub(),
    )
}

__all__ = ["PAIRS", "PEERS", "Launch", "Peer", "Place", "Server"]
