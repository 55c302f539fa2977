"""Listings of all servers as one immutable snapshot.

Definitions stay as the servers wrote them; the snapshot is swapped whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mcp_gateway.plugin import Document, Parameter
from mcp_gateway.protocol.encoded_json import may_contain, read
from mcp_gateway.protocol.tool_names import MAX_NAME, SEPARATOR, full_name, split_name

if TYPE_CHECKING:
    from mcp.shared.uri_template import UriTemplate

Definition = Mapping[str, Any]
"""What a server said of a tool, prompt, resource or template: a JSON object, with all of its fields."""


def is_repeatable(definition: Definition) -> bool:
    """Whether a tool's annotations declare repeated calls harmless.

    That is `readOnlyHint` or `idempotentHint`.
    """
    said = definition.get("annotations")
    return isinstance(said, dict) and (said.get("readOnlyHint") is True or said.get("idempotentHint") is True)


@dataclass(frozen=True, slots=True)
class CacheHint:
    """Cache hint of a list result: TTL in milliseconds and scope.

    The scope is "public" or "private": for whom the list may be cached.
    """

    ttl_ms: int
    scope: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A definition refused because its name is reserved for another owner.

    `kind` is that of `kinds.Kind`, `name` the server's own, and `owner` says in words whose it is.
    """

    primitive: str
    name: str
    owner: str
    definition: Definition

    @property
    def what(self) -> str:
        """The definition and the owner of its name, in words.

        Text of the server is quoted and cut.
        """
        quoted = repr(self.name if len(self.name) <= MAX_NAME else f"{self.name[:MAX_NAME]}…")
        return f"{self.primitive.removesuffix('s')} {quoted} is refused: the name belongs to {self.owner}"


@dataclass(frozen=True)
class Listing:
    """The listing of one server, with its `initialize` result.

    It is that of one moment.

    `fetched` is when, in seconds since the epoch. `description` is the server's own:
    its `instructions`, or its title; `initialize_result` is all that it said of itself in the
    handshake, and `client_capabilities` what it heard that clients can do. `hints` say for
    each kind by its name how long the list is good. `namespace` begins the names of its
    tools and prompts; None if nothing does, and empty if the server's name does. `withheld` says
    of tools that are not among `tools`, though the server has them, why that is so; `refused`
    are definitions under names that belong to others, which are nowhere else here.
    """

    server: str
    tools: tuple[Definition, ...] = ()
    prompts: tuple[Definition, ...] = ()
    resources: tuple[Definition, ...] = ()
    templates: tuple[Definition, ...] = ()
    description: str = ""
    initialize_result: Mapping[str, Any] = field(default_factory=dict, compare=False)
    client_capabilities: Mapping[str, Any] = field(default_factory=dict, compare=False)
    hints: Mapping[str, CacheHint] = field(default_factory=dict, compare=False)
    fetched: float = field(default=0.0, compare=False)
    namespace: str | None = field(default="", compare=False)
    withheld: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()

    def why_withheld(self, name: str) -> str | None:
        """Return why a tool is withheld, by its full name.

        None if the server has no such tool or it is not withheld.
        """
        return next((why for own, why in self.withheld.items() if self.full_name(own) == name), None)

    def why_refused(self, kind: str, name: str) -> str | None:
        """Return why a definition is refused, by its full name.

        None if the server does not list such a definition or it is not refused.
        """
        found = (refusal for refusal in self.refused if refusal.primitive == kind)
        return next((f"its {refusal.what}" for refusal in found if self.full_name(refusal.name) == name), None)

    def full_name(self, own: str) -> str:
        """Return a tool's or prompt's full name."""
        return full_name(self._prefix, own)

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """The capabilities that the server declared."""
        declared = self.initialize_result.get("capabilities")
        return declared if isinstance(declared, dict) else {}

    @property
    def age(self) -> float:
        """Seconds since the listing was fetched.

        The absolute difference is taken, so that a clock set back makes the listing no younger.
        """
        return abs(time.time() - self.fetched)

    @property
    def modern(self) -> bool:
        """Whether the server declared itself modern."""
        return "supportedVersions" in self.initialize_result

    @cached_property
    def digest(self) -> str:
        """A hash of the tools: equal for equal ones."""
        return sha256(json.dumps([self.namespace, self.tools], sort_keys=True, default=read).encode()).hexdigest()

    @property
    def _prefix(self) -> str | None:
        return self.server if self.namespace == "" else self.namespace

    @cached_property
    def by_name(self) -> Mapping[str, Definition]:
        """The tools by the server's own names for them."""
        return {definition["name"]: definition for definition in self.tools}

    @cached_property
    def tool_names(self) -> Mapping[str, str]:
        """The unqualified tool names by full name."""
        return {self.full_name(name): name for name in self.by_name}

    @cached_property
    def prompts_by_name(self) -> Mapping[str, Definition]:
        """The prompts by the names that they have in the gateway."""
        return {self.full_name(definition["name"]): definition for definition in self.prompts}

    def tool_name(self, name: str) -> str | None:
        """Return a tool's unqualified name by full or short name."""
        parts = split_name(name)
        if parts is not None and parts[0] == self._prefix and parts[1] in self.by_name:
            return parts[1]
        return self.tool_names.get(name)

    def lists(self, uri: str) -> bool:
        """Whether the server listed this very resource."""
        return uri in self._uris

    def has_template(self, uri: str) -> bool:
        """Whether a listed resource template equals or matches `uri`."""
        return any(
            template["uriTemplate"] == uri or _makes(template["uriTemplate"], uri) for template in self.templates
        )

    @cached_property
    def _uris(self) -> frozenset[str]:
        return frozenset(definition["uri"] for definition in self.resources)

    @cached_property
    def header_arguments(self) -> Mapping[str, Mapping[tuple[str, ...], str]]:
        """Arguments that a modern server wants as `Mcp-Param-*` headers, by tool.

        They are sent as headers in addition to the body.
        """
        # Here, since the package takes long to import, and only calls need it.
        from mcp.shared.inbound import X_MCP_HEADER_KEY, x_mcp_header_map

        some = {name: tool for name, tool in self.by_name.items() if may_contain(tool, X_MCP_HEADER_KEY)}
        found = {name: x_mcp_header_map(tool.get("inputSchema")) for name, tool in some.items()}
        return {name: paths for name, paths in found.items() if paths}

    def documents(self) -> Iterator[Document]:
        """Yield the tools as search documents.

        The documents are made anew for each ranker.
        """
        for name, own in self.tool_names.items():
            yield document_from_definition(self.server, self.by_name[own], name)


@dataclass(frozen=True)
class Catalog:
    """The listings of all servers, in configuration order.

    Snapshots of equal `revision` offer the same: then only the time has moved on. What
    one caller sees may be a `base` that all see with some offers in place of its own:
    `own` says which, by server and digest.
    """

    servers: Mapping[str, Listing] = field(default_factory=dict)
    revision: int = 0
    base: Catalog | None = field(default=None, compare=False, repr=False)
    own: frozenset[tuple[str, str]] = frozenset()

    def with_listing(self, listing: Listing, order: Sequence[str]) -> Catalog:
        """Return a catalog with one server's listing replaced by `listing`."""
        before = self.servers.get(listing.server)
        # The revision stays where nothing changed: indexes and lists made of it are good still.
        changed = before != listing
        if before is not None and not changed:
            listing = replace(listing, tools=before.tools)  # equal ones, which are where the memory has no holes
        found = {**self.servers, listing.server: listing}
        catalog = Catalog({name: found[name] for name in order if name in found}, self.revision + changed)
        if before is not None and not changed and before.namespace == listing.namespace:
            names = {name: value for name, value in vars(self).items() if name in {"_namespaces", "_irregular"}}
            vars(catalog).update(names)  # worked out from every name of every server
        return catalog

    def with_overlay(self, listings: Mapping[str, Listing], order: Sequence[str]) -> Catalog:
        """Return a catalog with a caller's listings laid over this one.

        For callers to whom servers list something else than to all.
        """
        found = {**self.servers, **listings}
        servers = {name: found[name] for name in order if name in found}
        own = frozenset((name, listing.digest) for name, listing in listings.items())
        return Catalog(servers, self.revision, self, own)

    def find(self, name: str) -> Definition | None:
        """Return the definition of a tool by its full name.

        None if there is no such tool.
        """
        owner = self.owner(name)
        own = self.servers[owner].tool_name(name) if owner else None
        return self.servers[owner].by_name[own] if owner and own else None

    def owner(self, name: str) -> str | None:
        """Return the name of the server that has a tool.

        The tool is given by its full name; None if there is no such tool.
        """
        parts = split_name(name)
        if parts is not None and parts[0] in self._namespaces:
            server = self._namespaces[parts[0]]
            if self.servers[server].tool_name(name) is not None:
                return server
        return self._irregular.get(name)

    @cached_property
    def _namespaces(self) -> Mapping[str, str]:
        return {listing.full_name("").removesuffix(SEPARATOR): server for server, listing in self.servers.items()}

    @cached_property
    def _irregular(self) -> Mapping[str, str]:
        """The servers of tools with irregular names.

        Such names begin with no whole namespace: they are short forms and bare names.
        """
        return {
            name: server
            for server, listing in self.servers.items()
            for name in listing.tool_names
            if listing.namespace is None or (split_name(name) or ("",))[0] not in self._namespaces
        }

    def full_names(self) -> Iterator[str]:
        """Iterate over every tool's full name."""
        for tools in self.servers.values():
            yield from tools.tool_names

    def documents(self) -> list[Document]:
        """Return every tool as rankers see it."""
        return [document for tools in self.servers.values() for document in tools.documents()]


def document_from_definition(server: str, definition: Definition, name: str | None = None) -> Document:
    """Extract a search document from a tool definition.

    Members that are not as the MCP specification has them are left out.
    """
    definition = read(definition)
    annotations = definition.get("annotations")
    title = definition.get("title") or (annotations.get("title") if isinstance(annotations, dict) else None)
    return Document(
        id=name or full_name(server, definition["name"]),
        server=server,
        name=definition["name"],
        title=_text(title),
        description=_text(definition.get("description")),
        parameters=tuple(_parameters(definition.get("inputSchema"))),
    )


def _parameters(schema: object) -> Iterator[Parameter]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    for name, value in properties.items() if isinstance(properties, dict) else ():
        yield Parameter(name=name, text=" ".join(_texts(value)))


def _texts(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield _text(schema.get("description"))
        enum = schema.get("enum")
        yield from (item for item in (enum if isinstance(enum, list) else ()) if isinstance(item, str))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=4096)
def _template(text: str) -> UriTemplate | None:
    from mcp.shared.uri_template import InvalidUriTemplate, UriTemplate

    try:
        return UriTemplate.parse(text)
    except InvalidUriTemplate:
        return None


def _makes(template: str, uri: str) -> bool:
    """Whether a URI template (RFC 6570) can expand to `uri`."""
    parsed = _template(template)
    return parsed is not None and parsed.match(uri) is not None
