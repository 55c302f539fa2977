"""Listings of all servers as one immutable snapshot, swapped whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mcp_gateway.catalog.listing import Definition, Listing
from mcp_gateway.plugin import Document
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.protocol.tool_names import split_name

_NAMES = frozenset({"_namespaces", "_irregular", "_former"})
"""What a catalog derives from names."""


@dataclass(frozen=True)
class Catalog:
    """The listings of all servers, in configuration order.

    Catalogs of equal `revision` have equal content and may differ only in times. A caller's catalog may be a `base`,
    the common one, with some listings replaced: `overlaid` has those, by server and digest.
    """

    servers: Mapping[str, Listing] = field(default_factory=dict)
    revision: int = 0
    base: Catalog | None = field(default=None, compare=False, repr=False)
    overlaid: frozenset[tuple[str, str]] = frozenset()

    def with_listing(self, listing: Listing, order: Sequence[str]) -> Catalog:
        """Return a catalog with one server's listing replaced by `listing`."""
        before = self.servers.get(listing.server)
        # The revision stays if nothing changed, so that indexes and lists made from it remain valid.
        changed = before != listing
        if before is not None and not changed:
            listing = replace(listing, tools=before.tools)  # keep the equal old ones: new ones would fragment the heap
        found = {**self.servers, listing.server: listing}
        catalog = Catalog({name: found[name] for name in order if name in found}, self.revision + changed)
        if before is not None and not changed and before.namespace == listing.namespace:
            names = {name: value for name, value in vars(self).items() if name in _NAMES}
            vars(catalog).update(names)  # expensive to compute, and unchanged
        return catalog

    def with_overlay(self, listings: Mapping[str, Listing], order: Sequence[str]) -> Catalog:
        """Return a catalog with a caller's listings laid over this one.

        It is for callers whose credentials make servers list something else.
        """
        found = {**self.servers, **listings}
        servers = {name: found[name] for name in order if name in found}
        overlaid = frozenset((name, listing.digest) for name, listing in listings.items())
        return Catalog(servers, self.revision, self, overlaid)

    def find(self, name: str) -> Definition | None:
        """Return the definition of a tool by its full name.

        None if there is no such tool.
        """
        owner = self.owner(name)
        tool = self.servers[owner].tool_name(name) if owner else None
        return self.servers[owner].by_name[tool] if owner and tool else None

    def find_shown(self, name: str) -> Definition | None:
        """Return the definition of a tool as clients see it.

        None if there is no such tool, or they do not see it.
        """
        owner, definition = self.owner(name), self.find(name)
        return self.servers[owner].repairs.shown(TOOLS, definition) if owner and definition else None

    def owner(self, name: str) -> str | None:
        """Return the name of the server that has a tool.

        The tool is given by its full name; None if there is no such tool.
        """
        parts = split_name(name)
        if parts is not None and parts[0] in self._namespaces:
            server = self._namespaces[parts[0]]
            if self.servers[server].tool_name(name) is not None:
                return server
        return self._irregular.get(name) or self._former.get(name)

    @cached_property
    def _namespaces(self) -> Mapping[str, str]:
        return {listing.prefix: server for server, listing in self.servers.items() if listing.prefix is not None}

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

    @cached_property
    def _former(self) -> Mapping[str, str]:
        """The servers of tools by names of another length."""
        return {name: server for server, listing in self.servers.items() for name in listing.former_tool_names}

    def full_names(self) -> Iterator[str]:
        """Iterate over every tool's full name."""
        for tools in self.servers.values():
            yield from tools.tool_names

    def documents(self) -> list[Document]:
        """Return every tool as a search document."""
        return [document for tools in self.servers.values() for document in tools.documents()]
