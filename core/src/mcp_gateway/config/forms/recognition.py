"""Recognition of a document: whose it is, and where its servers are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.programs import ANY, BARE, PROGRAMS, Place, Program
from mcp_gateway.text.suggestions import suggest_word

ENTRY_KEYS = ("command", "url", "cmd", "uri", "serverUrl", "httpUrl", "server_url")
"""Keys that say how a server is reached."""

_COMMENT = re.compile(r"(//|#|\$|/\*|_+comment|_+note).*|comments?|notes?|description", re.IGNORECASE)
_SURE_COMMENT = re.compile(r"(//|#|\$|/\*|_+comment|_+note).*", re.IGNORECASE)

_STRANGERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a Docker Compose file", ("services", "volumes")),
    ("a Docker Compose file", ("services",)),
    ("the manifest of an MCP bundle (.mcpb, .dxt)", ("manifest_version", "server")),
    ("an entry of the MCP registry (server.json)", ("packages", "name")),
    ("an entry of the MCP registry (server.json)", ("remotes", "name")),
    ("a catalog of Docker's MCP toolkit", ("registry",)),
    ("a package.json", ("dependencies",)),
    ("a package.json", ("devDependencies",)),
    ("a package.json", ("scripts", "name")),
    ("a pyproject.toml", ("project", "build-system")),
    ("a pyproject.toml", ("tool",)),
    ("a tsconfig.json", ("compilerOptions",)),
    ("a Smithery configuration", ("startCommand",)),
    ("an OpenAPI description", ("openapi",)),
    ("a message of JSON-RPC", ("jsonrpc",)),
    ("the answer to tools/list", ("tools", "nextCursor")),
    ("a JSON Schema", ("$schema", "properties")),
    ("a fastmcp.json", ("entrypoint",)),
    ("a Kubernetes object", ("apiVersion", "kind")),
)
"""Documents that people mix up with a file of servers, by keys."""


def is_comment(key: object, value: object) -> bool:
    """Whether a key only comments on what stands beside it.

    A server may be called `notes`, and then its value is an object.
    """
    pattern = _SURE_COMMENT if isinstance(value, dict) else _COMMENT
    return not isinstance(key, str) or pattern.fullmatch(key) is not None


def is_comment_key(key: str) -> bool:
    """Whether a key marks a comment by its first characters."""
    return _SURE_COMMENT.fullmatch(key) is not None


def find_at(document: Any, place: Place) -> Any:
    """Return what stands at a place, or None."""
    for key in place:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document


def looks_like_entry(value: object) -> bool:
    """Whether a value says how a server is reached."""
    return isinstance(value, dict) and any(key in value for key in ENTRY_KEYS)


def find_servers(document: Mapping[str, Any], path: Path) -> Iterator[tuple[Program, Place, Any]]:
    """Yield what holds servers: the program, the place and the servers there."""
    places = dict.fromkeys(place for program in (*PROGRAMS, ANY) for place in program.places)
    found = False
    for place in places:
        servers = find_at(document, place)
        # Our own form; it is read elsewhere.
        if place == ("servers",) and isinstance(servers, list):
            continue
        if not _holds_servers(servers, place):
            continue
        found = True
        yield _find_program(document, path, place, servers), place, servers
    if found:
        return
    hidden = [(place, servers) for place, servers in _find_hidden(document) if _holds_servers(servers, place)]
    yield from ((ANY, place, servers) for place, servers in hidden)
    if not hidden and _is_bare(document):
        yield BARE, (), document


def named_entries(servers: Any, stem: str) -> list[tuple[Any, str, Any]]:
    """Return the keys, names and values of held servers."""
    if isinstance(servers, list):
        return [
            (at, str(item.get("name", f"{stem}-{at}")) if isinstance(item, dict) else f"{stem}-{at}", item)
            for at, item in enumerate(servers)
        ]
    return [(name, str(name), item) for name, item in servers.items() if not is_comment(name, item)]


def _find_hidden(document: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    """Yield what may hold servers below the settings of some extension."""
    for key, value in document.items():
        if key.endswith(".mcpServers"):
            yield (key,), value
        elif isinstance(value, dict) and "mcpServers" in value:
            yield (key, "mcpServers"), value["mcpServers"]


def _holds_servers(servers: Any, place: Place) -> bool:
    if place[-1].lower().endswith("servers"):
        return isinstance(servers, dict | list) and (place[0] != "mcp" or isinstance(servers, dict))
    # Other programs use these words for other things.
    values = servers.values() if isinstance(servers, dict) else servers if isinstance(servers, list) else ()
    kinds = ("type", "enabled", *ENTRY_KEYS)
    return any(isinstance(value, dict) and any(key in value for key in kinds) for value in values)


def _is_bare(document: Mapping[str, Any]) -> bool:
    entries = [value for key, value in document.items() if not is_comment(key, value)]
    return (
        bool(entries)
        and sum(map(looks_like_entry, entries)) * 2 >= len(entries)
        and any(map(looks_like_entry, entries))
    )


def _find_program(document: Mapping[str, Any], path: Path, place: Place, servers: Any) -> Program:
    """Return the program that a file is most probably of."""
    entries = [
        entry for entry in (servers.values() if isinstance(servers, dict) else servers) if isinstance(entry, dict)
    ]
    candidates = [program for program in PROGRAMS if place in program.places]
    scored = [(_score(program, document, path, entries), program) for program in candidates]
    best = max((score for score, _ in scored), default=0)
    if best == 0:
        alone = len(candidates) == 1
        return candidates[0] if alone and place not in ANY.places else _guess_by_place(place, entries)
    return next(program for score, program in scored if score == best)


def _guess_by_place(place: Place, entries: Iterable[Mapping[str, Any]]) -> Program:
    if place[0] == "mcp" and len(place) == 1:
        # Both have it there; opencode writes a command as a list, or says "local" and "remote".
        kinds = {str(entry.get("type")) for entry in entries}
        name = "Crush" if kinds & {"stdio", "http", "sse"} else "opencode"
        return next(program for program in PROGRAMS if program.name == name)
    if place in {("servers",), ("mcp", "servers"), ("mcp.servers",)}:
        return next(program for program in PROGRAMS if program.name == "VS Code")
    return ANY


def _score(program: Program, document: Mapping[str, Any], path: Path, entries: Sequence[Mapping[str, Any]]) -> int:
    by_file = 8 if program.file and re.search(program.file, path.absolute().as_posix()) else 0
    by_document = 4 if program.document_keys & document.keys() else 0
    by_entry = 2 if any(program.entry_keys & entry.keys() for entry in entries) else 0
    schema = document.get("$schema")
    by_schema = 8 if isinstance(schema, str) and program.name.lower() in schema.lower() else 0
    by_type = 1 if program.name == "opencode" and any(isinstance(e.get("command"), list) for e in entries) else 0
    return by_file + by_document + by_entry + by_schema + by_type


def describe_stranger(document: Any) -> str:
    """Describe what a document without servers looks like."""
    if not isinstance(document, dict):
        return ""
    for what, keys in _STRANGERS:
        if all(key in document for key in keys):
            return f"; it looks like {what}"
    known = ("servers", *{place[0] for program in PROGRAMS for place in program.places if place})
    for key, value in document.items():
        if key in known:
            return (
                f"; what {key!r} holds is neither"
                if key in {"servers", "mcpServers"}
                else f"; {key!r} holds no servers"
            )
        if isinstance(value, dict | list) and (near := suggest_word(key, known)):
            return f"; nobody reads the key {key!r}{near}"
    return ""


def name_place(number: int) -> str:
    """Name the place of an entry, as people count."""
    return f"entry-{number + 1}"


def describe_nameless(keys: Mapping[str, Any], number: int) -> str:
    """Describe where an entry stands that has no name."""
    return "" if "name" in keys else f'it is number {number + 1} in "servers" and has no name; give it a "name"'
