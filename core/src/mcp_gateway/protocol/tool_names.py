"""Tool names: qualification with a namespace, and look-alikes."""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256

from mcp_gateway.text.normalization import to_look_alikes

SEPARATOR = "__"
# Many clients reject longer names, although the specification allows 128 characters.
MAX_NAME = 64
HASH_LENGTH = 6

OWN_TOOLS = frozenset({"tool_search", "discover_tools", "call_remote_tool"})
"""The names of the built-in tools."""

OWN_URIS = "gateway://results/"
"""The prefix of the URIs of the gateway's own resources."""

_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(_[A-Za-z0-9.-]+)*")
_ACCEPTED = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_NAME}}}")
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")
_NOT_A_WORD = re.compile(r"[^a-z0-9_]")
_UNSEEN = frozenset({"Cc", "Cf", "Mn", "Me"})


def full_name(namespace: str | None, tool: str) -> str:
    """Join a namespace and a tool's name: `server__tool`.

    The namespace is the server's name unless the entry has another. Without a namespace the tool's name is unchanged.

    A name that many clients reject (more than 64 characters, or others than letters, digits, `_`, `-` and `.`) gets a
    short form that ends with a hash of the whole name. It depends only on the two names, so it is stable.
    """
    if namespace is None:
        return tool
    whole = f"{namespace}{SEPARATOR}{tool}"
    if _ACCEPTED.fullmatch(whole):
        return whole
    plain = _FOREIGN.sub("_", whole)[: MAX_NAME - HASH_LENGTH - 1]
    return f"{plain}_{sha256(whole.encode()).hexdigest()[:HASH_LENGTH]}"


def name_prefix(namespace: str) -> str:
    """Return the common prefix of names in a namespace.

    Short forms begin with it, too.
    """
    return f"{namespace}{SEPARATOR}"[: MAX_NAME - HASH_LENGTH - 1]


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
    """Turn a foreign name into a valid server name.

    It comes from another program's configuration: `My Server!` becomes `My-Server`.
    """
    plain = _FOREIGN.sub("-", name)
    return re.sub(r"_{2,}", "_", plain).strip("-_.") or "server"
