"""Values that core and plugins exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, NamedTuple


class Principal(NamedTuple):
    """An authenticated user: issuer and subject.

    These are the claims `iss` and `sub` of the authorization server.
    """

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The sender of a request: HTTP headers, capabilities, optional `auth_header`.

    Header names are lower case. Over stdio there are no headers. `override` is the
    `auth_header` argument of `call_remote_tool`. Neither is ever printed. `client` is
    an opaque name for the client's connection, or None for the gateway itself, and
    `capabilities` is what it declared that it can do (MCP's `ClientCapabilities`).
    `principal` is who the client has proved to be with a token of an authorization server.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth_header: str | None = field(default=None, repr=False)
    client: str | None = None
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    principal: Principal | None = None


ANONYMOUS = Caller()
"""A caller that brought nothing, such as the gateway itself at start-up."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Headers to send to a server.

    Calls with equal credentials may share a session.
    """

    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Credentials:
        """Make credentials of `headers`; their order does not matter."""
        return cls(tuple(sorted(headers.items())))

    @property
    def headers(self) -> dict[str, str]:
        """The headers, as a new dictionary."""
        return dict(self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One property of an input schema, as text.

    It has the name, and the description and enum values.
    """

    name: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One tool as a search document; `id` is its full name.

    The full name is `server__tool`; missing text is empty.
    """

    id: str
    server: str
    name: str
    title: str = ""
    description: str = ""
    parameters: tuple[Parameter, ...] = ()


Label = Literal["strong", "weak", "none"]
"""How well the best hit fits: most of what the query says is in it, some of it, or there is no hit. No probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search query.

    `text` is what the model wrote, at most 200 characters; `limit` is how many hits
    to return at the most, 1 or more. `servers`, unless it is empty, names the only
    servers whose documents count; `explain` asks for the `matches` of each hit. A ranker
    may leave out both: the gateway then filters, and there is no explanation.
    """

    text: str
    limit: int = 10
    servers: frozenset[str] = frozenset()
    explain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One reason for a hit: a term, its fields and score.

    The score is the match's contribution to that of the hit.

    `term` and `fields` are for people, in the ranker's own words; `score` is on the scale of the hit's.
    """

    term: str
    fields: tuple[str, ...] = ()
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A matching document's id and score.

    The score is finite; higher is better; scores are comparable within one search only.

    `matches` are the reasons, the weightiest first, if the query asks for them.
    """

    id: str
    score: float
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Search results: the best hits in order, and the total.

    The total is how many documents match.

    `label` says how well the best hit fits, None if the ranker does not know. `hints` are
    lines for the model and for people: a part of the index that is missing, say. `filtered` is
    whether the ranker has kept to the query's `servers`, in `total`, too; if not, the gateway does.
    """

    hits: tuple[Hit, ...] = ()
    total: int = 0
    label: Label | None = None
    hints: tuple[str, ...] = ()
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A JSON-RPC response as bytes, with its error code, if any.

    `streamed` says that a client over HTTP expects it as an event of a stream. An empty message is none: the client
    has cancelled its request, or, if it is `accepted`, has sent a notification or a response (HTTP 202).
    """

    message: bytes
    error: int | None = None
    streamed: bool = False
    accepted: bool = False


class TransportFault(IntEnum):
    """JSON-RPC error codes for failures of a client transport.

    A transport answers a request that it could not deliver with a JSON-RPC error of
    one of these codes, so that one failed request does not end the session. The error's
    `message` says what happened; `data` may hold `{"status": HTTP status,
    "retryAfter": seconds or a date}`, or `{"sent": false}` if not a byte of the request can have
    reached the server: only then is it sent again in any case. They lie outside the range that JSON-RPC reserves.
    """

    UNREACHABLE = -31001
    """The request did not reach the server, or the server failed without an answer of its own."""
    UNAUTHORIZED = -31002
    """The server refused the credentials (HTTP 401 or 403)."""
    SESSION_LOST = -31003
    """The server does not know this session any more: a new one will be opened.

    With HTTP 404, or no status, in `data`, the request was not carried out, and is sent again. With another status
    nobody knows, and it is sent again only if that does no harm.
    """
