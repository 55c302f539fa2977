"""Recognition of responses that report an unknown session.

MCP prescribes HTTP 404; servers in the field use many other responses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus

MAX_WORDS = 4096
"""How many bytes of a response are searched; such responses are short."""

_TAG = re.compile(r"<[^<>]*>")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_APOSTROPHE = re.compile(r"(?<=n)['\u2019](?=t\b)")
_CLAUSE = re.compile(r"[\n\r\[\]{}();!?]|[.,](?=\s|\"|$)|\"\s*[:,]")
_TOKEN = re.compile(r"[^\W_]+|:")
_NOT_INITIALIZED = re.compile(
    r"\b(?:server|transport|connection|client) (?:is |was |has )?(?:not|never) (?:yet |been ){0,2}initiali[sz]ed\b"
    r"|\bexpect(?:s|ed|ing)? (?:an? )?initiali[sz]ed? request\b"
    r"|\bclient (?:must|should|needs to) (?:first )?(?:re-?)?initiali[sz]e\b"
    r"|\brequest before initiali[sz]|\bduring session initiali[sz]ation\b"
)
"""Words of a server that takes a client for one that has not initialized."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOST = _words(
    "unknown invalid expired terminated missing closed gone lost ended stale inactive unrecognized unrecognised "
    "nonexistent destroyed deleted removed evicted dead uninitialized uninitialised disconnected"
)
_NOT = _words("not no never cannot cant doesnt isnt hasnt wasnt couldnt")
_BEFORE = _LOST | _NOT | _words("without unable failed requires require required wrong bad")
_BETWEEN = _words(
    "a an the any this that your or and valid active such existing open current live known matching mcp http server "
    "client transport connection header headers found find locate to have has for with of id :"
)
_AFTER = _LOST | _words("required timed must dropped")
_ABOUT_IT = _words(
    "id ids identifier header key value mcp with the a for is was has have had been are were already currently that "
    "you provided given specified supplied requested in request or and does do did could can server on by"
)
_NOT_SO = _words(
    "found exist exists existing valid active known recognized recognised initialized initialised longer open present "
    "provided available alive specified set match matched registered established supplied started"
)
_AUXILIARY = _words("be been a an currently yet to have")
_OF_ANOTHER_KIND = _words("login user auth oauth sso browser database db sql chat ssh shell terminal cookie web page")
_OF_ARGUMENTS = _words("argument arguments property properties field fields")


def is_session_unknown(status: int, words: bytes, session_id: str) -> bool:
    """Whether a response says that the session is unknown.

    404 says so whatever its words are (2025-11-25), and 410 alike; other statuses say it in words.
    """
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return True
    text = words[:MAX_WORDS].decode(errors="replace").replace(session_id, " ")
    text = _APOSTROPHE.sub("", _CAMEL.sub(" ", _TAG.sub("\n", text))).lower()
    return _NOT_INITIALIZED.search(text) is not None or any(map(_speaks_of_loss, _clauses(text)))


def _clauses(text: str) -> Iterator[list[str]]:
    for clause in _CLAUSE.split(text):
        if "session" in clause:
            yield [word for word in _TOKEN.findall(clause) if word.isalpha() or word == ":"]  # other tokens are ids


def _speaks_of_loss(tokens: Sequence[str]) -> bool:
    """Whether a clause denies a session, not a tool's argument."""
    if not _OF_ARGUMENTS.isdisjoint(tokens):
        return False
    places = [place for place, token in enumerate(tokens) if token in ("session", "sessions", "sessionid")]
    return any(_is_denied(tokens[:place], tokens[place + 1 :]) for place in places)


def _is_denied(before: Sequence[str], after: Sequence[str]) -> bool:
    if before and before[-1] in _OF_ANOTHER_KIND:
        return False
    if _first(reversed(before), _BETWEEN.__contains__) in _BEFORE:
        return True
    rest = iter(after)
    participle = _first(rest, _ABOUT_IT.__contains__)
    return participle in _AFTER or (participle in _NOT and _first(rest, _AUXILIARY.__contains__) in _NOT_SO)


def _first(tokens: Iterator[str], is_passed_over: Callable[[str], bool]) -> str:
    """Return the first token that counts, or an empty one."""
    return next((token for token in tokens if not is_passed_over(token)), "")
