"""The kinds of calls that are measured beside each other: what the client sends, and what the server answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from .peers import PAIRS

Json = dict[str, Any]
KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20
HTTP_SERVERS = ("http-http", "stdio-http")
HTTP_CLIENTS = ("http-http", "http-stdio")


@dataclass(frozen=True)
class Row:
    """One kind of call."""

    name: str
    about: str
    server: tuple[str, ...] = ()
    """Options of the downstream server."""
    client: tuple[str, ...] = ()
    """Options of the load client."""
    arguments: Json = field(default_factory=dict)
    """Those of the tool, beside its text."""
    size: int = KIBIBYTE
    method: str = "tools/call"
    credentials: str = ""
    """`static` or `forwarded`: whose the header is that the server asks for."""
    open_sessions: int = 0
    """Sessions of other clients, which are open meanwhile."""
    are_listening: bool = False
    """Whether each of those has a stream open for what the server says by itself."""
    callers: tuple[int, ...] = ()
    """How many at once, if the row has numbers of its own."""
    pairs: tuple[str, ...] = PAIRS
    eras: tuple[str, ...] = ("handshake", "modern")
    """Those of the client."""
    is_for_others: bool = True
    """Whether other gateways can do it with the configuration that they have here."""


CAPABILITIES = '{"roots":{"listChanged":true},"sampling":{},"elicitation":{"form":{},"url":{}}}'
USUAL_HEADERS = (
    *("-H", "Connection: keep-alive"),
    *("-H", "User-Agent: python-httpx/0.28.1"),
    *("-H", "Accept-Encoding: gzip, deflate"),
)
ORDINARY_CLIENT = ("--capabilities", CAPABILITIES, "--progress-token", "--split", *USUAL_HEADERS)
ORDINARY_SERVER = ("--sse", "--logging")
DATA = {"total": 8, "rows": [{"id": i, "name": f"row {i}", "price": i * 1.25, "tags": ["a", "b"]} for i in range(8)]}

PLAIN = Row("plain", "a client that declares nothing and sends no token, a server that answers with JSON")
ORDINARY = Row(
    "ordinary",
    "roots, sampling and elicitation declared, a progress token with every call, usual headers, head and body in two "
    "segments; the server answers by SSE and declares logging",
    ORDINARY_SERVER,
    ORDINARY_CLIENT,
)
REPORTS = replace(
    ORDINARY,
    name="reports",
    about="the same with three reports of progress before each answer",
    client=(*ORDINARY_CLIENT, "--reports", "3"),
    arguments={"reports": 3},
)
CROWD = Row(
    "crowd",
    "plain calls at 256 callers while 300 other sessions are open",
    callers=(256,),
    open_sessions=300,
    pairs=HTTP_CLIENTS,
    eras=("handshake",),
)
CONTENT = Row("", "", ("--content",), size=0, is_for_others=False)
ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        PLAIN,
        ORDINARY,
        REPORTS,
        Row(
            "static",
            "plain, with a header that the gateway keeps for the server",
            credentials="static",
            pairs=HTTP_SERVERS,
            is_for_others=False,
        ),
        Row(
            "forwarded",
            "plain, with the client's own header passed on",
            credentials="forwarded",
            pairs=("http-http",),
            is_for_others=False,
        ),
        Row("sse", "a plain client, a server that answers by SSE", ("--sse",), pairs=HTTP_SERVERS),
        Row("image", "plain, an image of 8 KiB and structured content", arguments={"image": 1, "data": DATA}),
        Row("large", "plain, results of 1 MiB", size=MEBIBYTE, callers=(1, 4)),
        replace(
            ORDINARY,
            name="large-ordinary",
            about="ordinary, results of 1 MiB",
            size=MEBIBYTE,
            callers=(1, 4),
        ),
        replace(CONTENT, name="prompt", about="plain prompts/get", method="prompts/get"),
        replace(CONTENT, name="resource", about="plain resources/read", method="resources/read"),
        replace(CONTENT, name="completion", about="plain completion/complete", method="completion/complete"),
        CROWD,
        replace(CROWD, name="crowd-listening", about="the same, each with a stream open", are_listening=True),
    )
}
