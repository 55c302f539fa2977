"""Hints on what to do next, for models and for people.

Errors and notes go to both: a model knows the gateway's tools, a person its commands. They are written for models, and
`rephrase_for_people` is called where a person reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

_PROGRAM = "mcp-orchestration-gateway"


_ADD = f"{_PROGRAM} add NAME -- COMMAND"

NO_SERVERS = f"no servers are configured; take those of your programs: {_PROGRAM} init; or add one: {_ADD}"
"""What a person reads where there are no servers."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a model reads, and what a person reads in its place."""

    for_models: str
    for_people: str


FIND_NAMES = Hint("find names with tool_search", f"find names with: {_PROGRAM} search WORDS")
FIND_PERMITTED = Hint("tool_search finds those that may be called", f"see those that may: {_PROGRAM} tools")
LIST_ONE = Hint("discover_tools lists all of one's tools", f"all of one's tools: {_PROGRAM} tools --server NAME")
ASK_SERVER = Hint("call discover_tools with server_name", f"ask it with: {_PROGRAM} tools --server")
TRY_AT_ONCE = Hint("discover_tools tries it at once", f"to try it at once: {_PROGRAM} servers --start")
CHOOSE_SERVER = Hint(
    "tool_search finds tools by what they do; discover_tools lists all tools of one server: call it with server_name, "
    "one of",
    f"{_PROGRAM} search finds tools by what they do; those of one server: {_PROGRAM} tools --server NAME, of",
)
BRING_HEADER = Hint(
    "send that header to the gateway over HTTP, or pass auth_header to call_remote_tool",
    f"only a client of {_PROGRAM} serve --transport http can bring it",
)
CHECK_HEADERS = Hint(
    "check its auth_headers, or pass auth_header with the call",
    f"correct its auth_headers, or the -H of {_PROGRAM} add",
)
BRING_CREDENTIALS = Hint(
    "pass auth_header with the call, or let a person write its auth_headers, or a login, into its entry",
    f"{_PROGRAM} add gives it a token with -H 'Authorization: Bearer ...', or a login with --auth-type oauth",
)
SEARCH_AGAIN = Hint("call tool_search again in a moment", f"{_PROGRAM} tools --server NAME waits for it")
SEARCH_PLAINLY = Hint(
    "search in plain words with use_regex false", f"search in plain words: {_PROGRAM} search WORDS --ranker bm25"
)

HINTS = (
    FIND_NAMES,
    FIND_PERMITTED,
    LIST_ONE,
    ASK_SERVER,
    TRY_AT_ONCE,
    CHOOSE_SERVER,
    BRING_HEADER,
    CHECK_HEADERS,
    BRING_CREDENTIALS,
    SEARCH_AGAIN,
    SEARCH_PLAINLY,
)

_SUBJECTS = {"tool_search: ": "search: ", "discover_tools: ": "tools: ", "call_remote_tool: ": "call: "}
"""What errors about arguments begin with, and the command that has them."""


def rephrase_for_people(text: str) -> str:
    """Return a text with its hints in the words of people."""
    for hint in HINTS:
        text = text.replace(hint.for_models, hint.for_people)
    subject = next((subject for subject in _SUBJECTS if text.startswith(subject)), "")
    return f"{_SUBJECTS.get(subject, '')}{text.removeprefix(subject)}"
