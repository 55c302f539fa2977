"""Names of tools and servers: qualification, short forms, look-alikes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256

from mcp_gateway.text.normalization import to_look_alikes

SEPARATOR = "__"
# Many clients reject longer names, although the specification allows 128 characters.
MAX_NAME = 64
MIN_MAX_NAME = 24
"""The least limit of a name's length: below it nothing readable would be left of a name."""

HASH_LENGTH = 6
_LONG_HASH = 16
"""How many digits tell apart two names of one server that have the same hash."""

OWN_TOOLS = frozenset({"tool_search", "discover_tools", "call_remote_tool"})
"""The names of the built-in tools."""

OWN_URIS = "gateway://results/"
"""The prefix of the URIs of the gateway's own resources."""

_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(_[A-Za-z0-9.-]+)*")
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]+")
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")
_NOT_A_WORD = re.compile(r"[^a-z0-9_]")
_UNSEEN = frozenset({"Cc", "Cf", "Mn", "Me"})
# Latin letters that Unicode does not decompose.
_LETTERS = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
    | {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "\u0131": "i"}
)


def full_name(
    namespace: str | None, tool: str, max_length: int | None = None, *, hash_length: int = HASH_LENGTH
) -> str:
    """Join a namespace and a tool's name: `server__tool`.

    The namespace is the server's name unless the entry has another. Without a namespace the tool's name is unchanged,
    unless it is longer than a `max_length` that was asked for.

    A name that many clients reject (longer than `max_length`, or with others than letters, digits, `_`, `-` and `.`)
    gets a short form that ends with a hash of the whole name. It depends on nothing else, so it is stable.
    """
    whole, limit = _join(namespace, tool), max_length or MAX_NAME
    if namespace is None and (max_length is None or len(tool) <= limit):
        return tool
    if len(whole) <= limit and _ACCEPTED.fullmatch(whole):
        return whole
    short = _join(None if namespace is None else _shorten_namespace(namespace, limit), tool)
    plain = _FOREIGN.sub("_", short)[: limit - hash_length - 1]
    return f"{plain}_{_hash(whole, hash_length)}"


def full_names(namespace: str | None, tools: Iterable[str], max_length: int | None = None) -> Mapping[str, str]:
    """Return the full names of a server's tools, by unqualified name.

    Short forms with the same hash get a longer one, all of them, so that the order of the tools makes no difference.
    """
    names = {tool: full_name(namespace, tool, max_length) for tool in tools}
    if len(set(names.values())) == len(names):
        return names
    short = {tool: name for tool, name in names.items() if name != _join(namespace, tool)}
    counts = Counter(short.values())
    again = {
        tool: full_name(namespace, tool, max_length, hash_length=_LONG_HASH)
        for tool, name in short.items()
        if counts[name] > 1
    }
    return {**names, **again}


def find_shortened_names(namespace: str | None, names: Mapping[str, str]) -> list[str]:
    """Return the full names that are not the whole ones.

    `names` are unqualified names by full name.
    """
    return [name for name, tool in names.items() if name != _join(namespace, tool)]


def former_names(namespace: str | None, tool: str) -> tuple[str, str]:
    """Return the names of a tool that depend on no limit.

    They are its whole name and its form of the default length; clients may remember them.
    """
    return _join(namespace, tool), full_name(namespace, tool)


def name_prefixes(namespace: str, max_length: int | None = None) -> tuple[str, ...]:
    """Return the prefixes of names in a namespace, short forms included."""
    forms = (namespace, _shorten_namespace(namespace, max_length or MAX_NAME))
    return tuple(dict.fromkeys(f"{form}{SEPARATOR}"[: MAX_NAME - HASH_LENGTH - 1] for form in forms))


def _shorten_namespace(namespace: str, max_length: int) -> str:
    """Shorten a namespace that would leave too little of a tool's name."""
    room = (max_length - HASH_LENGTH - 1 - len(SEPARATOR)) * 2 // 3
    # From the default length on, names keep the form that they have always had.
    if max_length >= MAX_NAME or len(namespace) <= room:
        return namespace
    return f"{namespace[: room - HASH_LENGTH - 1]}-{_hash(namespace, HASH_LENGTH)}"


def _join(namespace: str | None, tool: str) -> str:
    return tool if namespace is None else f"{namespace}{SEPARATOR}{tool}"


def _hash(text: str, length: int, start: int = 0) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[start : start + length]


def fold_name(name: str) -> str:
    """Return a name's folded form, equal for all look-alikes.

    Look-alikes differ only in case, width, accents, invisible characters, punctuation, or letters of other scripts
    that look the same. Some clients cannot distinguish them, and people and models even less.
    """
    if not name.isascii():
        # Before and after case folding, because some letters look Latin in one case only.
        parts = unicodedata.normalize("NFKD", to_look_alikes(name).casefold())
        name = to_look_alikes("".join(part for part in parts if unicodedata.category(part) not in _UNSEEN))
    return _NOT_A_WORD.sub("_", name.strip().lower())


def split_name(name: str) -> tuple[str, str] | None:
    """Split a full name at its first separator, or return None.

    Server names hold no separator, tool names may. None if the name has none.
    """
    server, found, tool = name.partition(SEPARATOR)
    return (server, tool) if server and found and tool else None


def is_server_name(name: str) -> bool:
    """Whether `name` is valid for a server.

    Valid are letters, digits, `.`, `-` and single `_`, so that `server__tool` splits in one way only.
    """
    return _SERVER_NAME.fullmatch(name) is not None


def sanitize_server_name(name: str) -> str:
    """Turn any text into a valid server name.

    `My Server!` becomes `My-Server`, and `naïve` becomes `naive`. Where letters of another script are lost, a hash of
    the whole name is added: `高德 map` becomes `map-a43ebb`.
    """
    parts = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    readable = "".join(part for part in parts if unicodedata.category(part) not in _UNSEEN)
    plain = re.sub(r"_{2,}", "_", _FOREIGN.sub("-", readable)).strip("-_.") or "server"
    if all(part.isascii() or not part.isalnum() for part in readable):
        return plain
    # Editors may write the same letters as NFC or as NFD.
    return f"{plain}-{_hash(unicodedata.normalize('NFC', name), HASH_LENGTH)}"


def sanitize_server_names(names: Collection[str]) -> Mapping[str, str]:
    """Return valid server names, no two alike, by the names given.

    Of names that would become the same, a valid one stays, and the others get a hash; their order makes no difference.
    """
    found = {name: sanitize_server_name(name) for name in names}
    counts = Counter(found.values())
    return {
        name: valid if counts[valid] == 1 or valid == name else _distinct_server_name(name)
        for name, valid in found.items()
    }


def possible_server_names(name: str) -> tuple[str, str]:
    """Return what may have become of a written name, the surer first."""
    return _distinct_server_name(name), sanitize_server_name(name)


def _distinct_server_name(name: str) -> str:
    return f"{sanitize_server_name(name)}-{_hash(name, HASH_LENGTH, HASH_LENGTH)}"
