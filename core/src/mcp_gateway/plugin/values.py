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

    * `headers`: by lower-case name, none over stdio; never printed.
    * `override`: the `auth_header` argument of `call_remote_tool`; never printed.
    * `client`: an opaque name of the client's connection; None for the gateway itself.
    * `capabilities`: what the client declared (MCP's `ClientCapabilities`).
    * `principal`: the user, if authenticated by a token of an authorization server.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth_header: str | None = field(default=None, repr=False)
    client: str | None = None
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    principal: Principal | None = None


ANONYMOUS = Caller()
"""A caller without headers and capabilities, such as the gateway itself at start-up."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Headers to send to a server.

    Calls with equal credentials may share a session.
    """

    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Credentials:
        """Create credentials from headers, whose order does not matter."""
        return cls(tuple(sorted(headers.items())))

    @property
    def headers(self) -> dict[str, str]:
        """The headers, as a new dictionary."""
        return dict(self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One property of an input schema, as text.

    `text` has its description and enum values.
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
"""How well the best hit matches: most words of the query, some of them, or there is no hit. Not a probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search query.

    * `text`: the model's words, at most 2,000 characters; for the ranker `regex` a pattern of at most 200.
    * `limit`: the maximum number of hits, at least 1.
    * `servers`: the servers to search; empty for all. A ranker may ignore it: then the gateway filters.
    * `explain`: whether hits should have `matches`. A ranker may ignore it.
    """

    text: str
    limit: int = 10
    servers: frozenset[str] = frozenset()
    explain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One reason for a hit: a term, its fields and score.

    `term` and `fields` are shown to people, in the ranker's own terms. `score` is the contribution to the hit's score.
    """

    term: str
    fields: tuple[str, ...] = ()
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A matching document's id and score.

    The score is finite; higher is better; scores are comparable within one search only.

    `matches` are the reasons in descending order of score, if the query asks for them.
    """

    id: str
    score: float
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Search results: the best hits in order, and the total.

    * `total`: the number of matching documents.
    * `label`: how well the best hit matches; None if unknown.
    * `hints`: lines for models and people, for example that a part of the index is missing.
    * `filtered`: whether hits and total are limited to the query's `servers`; if not, the gateway filters.
    """

    hits: tuple[Hit, ...] = ()
    total: int = 0
    label: Label | None = None
    hints: tuple[str, ...] = ()
    filtered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One reason why options do not work here, or may fail elsewhere.

    * `code`: a short stable name in lower case, such as `command-not-found`.
    * `message`: one sentence without a full stop; it never contains a secret.
    * `mend`: what a person may do about it, as an imperative; empty if nothing is known.
    * `is_error`: whether it cannot work as it is; else it is a warning.
    """

    code: str
    message: str
    mend: str = ""
    is_error: bool = True


class RawResponse(NamedTuple):
    """A JSON-RPC response as bytes.

    `error` is its error code, if HTTP tells it by a status (in the modern era).
    `streamed` says that a client over HTTP expects it as an event of a stream. An empty message is none: the client
    has cancelled its request, or, if it is `accepted`, has sent a notification or a response (HTTP 202).
    """

    message: bytes
    error: int | None = None
    streamed: bool = False
    accepted: bool = False


class TransportFault(IntEnum):
    """JSON-RPC error codes for failures of a client transport.

    A transport answers a request that it could not deliver with a JSON-RPC error of one of these codes, so that one
    failed request does not end the session. `message` says what happened. `data` may be
    `{"status": HTTP status, "retryAfter": seconds or a date}`, or `{"sent": false}` if no byte of the request can have
    reached the server: only then is it always retried. The codes are outside the range that JSON-RPC reserves.
    """

    UNREACHABLE = -31001
    """The request did not reach the server, or the server failed without a response of its own."""
    UNAUTHORIZED = -31002
    """The server rejected the credentials (HTTP 401 or 403)."""
    SESSION_LOST = -31003
    """The server no longer knows the session; a new one will be opened.

    With HTTP status 404 or none in `data` the request was not executed and is retried. With another status that is
    unknown, and it is retried only if it is repeatable.
    """
    UNSUPPORTED = -31004
    """The server does not speak this transport at all; the provider's `fallback` is tried.

    Only in answer to the first request of a session, or in place of one while connecting.
    """
