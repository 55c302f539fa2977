"""Resolution of names and URIs to servers, and the lists for clients."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mcp_gateway.catalog.listing import Definition, Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.reservations import transparent_server
from mcp_gateway.catalog.server_health import State
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.config.server_spec import NOT_USED, ServerSpec
from mcp_gateway.plugin import GatewayError
from mcp_gateway.protocol.primitives import PROMPTS, RESOURCES, Primitive
from mcp_gateway.protocol.tool_names import SEPARATOR, possible_server_names, split_name
from mcp_gateway.text.hints import FIND_NAMES
from mcp_gateway.text.suggestions import find_similar_names, format_suggestion

_BORDERS = frozenset("_-.:/@ ")
_MAX_PREFIX = 256
"""How long what a client puts before a name may be."""

_MOST_NAMESAKES = 3
"""How many tools of one name are named in an error."""

_MARKED = re.compile(r"mcp[_.:/-]|functions[.:/]|@")
"""How names begin that clients have made; without it, a tool without a namespace could be taken for another."""


class MalformedName(GatewayError):
    """A tool name that is not of the form `server__tool`."""

    code = "malformed_name"


class UnknownServer(GatewayError):
    """No server of that name is configured."""

    code = "unknown_server"


class UnknownTool(GatewayError):
    """The server has no tool of that name."""

    code = "unknown_tool"


class UnknownPrompt(GatewayError):
    """No server has a prompt of that name."""

    code = "unknown_prompt"


class UnknownResource(GatewayError):
    """A resource that no server lists or templates."""

    code = "unknown_resource"


class AmbiguousResource(GatewayError):
    """Several servers have a resource of that URI."""

    code = "ambiguous_resource"


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolver of names and URIs in one catalog.

    The catalog is a caller's or the common one; errors suggest similar names from it.
    """

    registry: Registry
    view: Catalog | None = None

    def within(self, view: Catalog) -> Resolver:
        """Return a resolver for the catalog of one caller."""
        return Resolver(self.registry, view)

    @property
    def catalog(self) -> Catalog:
        """The catalog in which names are resolved."""
        return self.registry.catalog if self.view is None else self.view

    @property
    def transparent(self) -> ServerSpec | None:
        """The transparent server, if there is one.

        Clients see it as if there were no gateway: it is the only server, has no namespace and exposes its
        tools.
        """
        return transparent_server(self.registry.specs.values())

    def cache_hint(self, primitive: Primitive) -> dict[str, Any]:
        """Return the cache hint for the list of a primitive.

        It is the TTL in milliseconds from now, and the scope.
        """
        listings = self._exposing(primitive)
        hints = [listing.hints.get(primitive.name) for listing in listings]
        # Without a hint from every server the list must count as stale at once, and as private.
        if not hints or not all(hints):
            return {"ttlMs": 0, "cacheScope": "private"}
        age = max(listing.age for listing in listings)
        # The merged list is as old as its oldest part and as private as its most private one.
        ttl = min(hint.ttl_ms for hint in hints if hint) - round(age * 1000)
        public = all(hint.scope == "public" for hint in hints if hint) and not self.varies_by_caller(primitive)
        return {"ttlMs": max(0, ttl), "cacheScope": "public" if public else "private"}

    def definition(self, name: str) -> Definition | None:
        """Return the definition of a tool by its full name."""
        return self.catalog.find(name)

    def list_definitions(self, primitive: Primitive) -> list[tuple[str, Definition]]:
        """Return name and definition of everything exposed of a primitive.

        Definitions are as clients see them. Only tools and prompts are renamed.
        """
        return [item for listing in self._exposing(primitive) for item in listing.shown(primitive)]

    def varies_by_caller(self, primitive: Primitive) -> bool:
        """Whether lists of a primitive may differ between callers.

        With credentials of the caller, a server may list what those permit.
        """
        return any(spec.auth is not None for spec in self.registry.specs.values() if primitive.name in spec.exposed)

    def _exposing(self, primitive: Primitive) -> list[Listing]:
        servers = self.catalog.servers.items()
        return [listing for name, listing in servers if primitive.name in self._primitives_of(name)]

    def _primitives_of(self, server: str) -> frozenset[str]:
        return self.registry.specs[server].exposed

    def prompt(self, name: str) -> tuple[ServerSpec, Definition]:
        """Return a prompt's server and original definition.

        The definition has the unqualified name. An unknown prompt of the transparent server resolves to that server,
        which then answers with its own error.
        """
        for server, listing in self.catalog.servers.items():
            if PROMPTS.name in self._primitives_of(server) and (prompt := listing.prompt(name)) is not None:
                return self.registry.specs[server], prompt
        refused = (listing.why_refused(PROMPTS.name, name) for listing in self.catalog.servers.values())
        why = next(filter(None, refused), None)
        if why is None and (only := self.transparent) is not None:
            return only, {"name": name}
        known = [listed for listed, _ in self.list_definitions(PROMPTS)]
        message = f"{self._explain_missing(name)}{_suggest(name, known)}"
        raise UnknownPrompt(f"no prompt is called {name!r}; {message}prompts/list has them all")

    def _explain_missing(self, name: str) -> str:
        """Explain an unknown name by the state of its server.

        The text is empty if the state explains nothing.
        """
        parts = split_name(name)
        owner = self.registry.admission.reservations.servers.get(parts[0]) if parts is not None else None
        if owner is None or owner not in self.registry.states:
            return ""
        state = self.registry.states[owner]
        return "" if state.name is State.READY else f"server {owner!r} is {state.name}: {state.brief(owner)}; "

    def resource_server(self, uri: str) -> ServerSpec:
        """Return the server of a resource.

        A server that lists the resource takes precedence over one whose template matches.
        """
        # The transparent server gives its own error for an unknown URI, as it would without a gateway.
        if (only := self.transparent) is not None:
            return only
        servers = self.catalog.servers.items()
        listings = {name: listing for name, listing in servers if RESOURCES.name in self._primitives_of(name)}
        owners = [name for name, listing in listings.items() if listing.lists(uri)]
        # Templates come second: one server's `{+path}` may match a URI that another server lists.
        owners = owners or [name for name, listing in listings.items() if listing.has_template(uri)]
        if len(owners) == 1:
            return self.registry.specs[owners[0]]
        if owners:
            raise AmbiguousResource(
                f"the resource {uri!r} belongs to several servers: {', '.join(owners)}; "
                'set "expose_resources": false for all but one of them'
            )
        near = _suggest(uri, [listed for listed, _ in self.list_definitions(RESOURCES)])
        raise UnknownResource(f"no server lists the resource {uri!r} or a template for it; {near}see resources/list")

    def server(self, name: str) -> ServerSpec:
        """Return a server by its name, or that in its file."""
        specs = self.registry.specs
        if name in specs:
            return specs[name]
        for form in possible_server_names(name):
            if form in specs:
                return specs[form]
        states = self.registry.states
        if name in states and states[name].name is State.DISABLED:
            self.registry.events.disabled_server_wanted.emit()
            what = "disabled" if name in self.registry.switched_off else NOT_USED
            raise UnknownServer(f"server {name!r} is {what}: {states[name].reason}")
        known = ", ".join(self.registry.specs) or "; ".join(["none", *self.registry.notices])
        raise UnknownServer(f"no server is called {name!r}; {_suggest(name, self.registry.specs)}servers: {known}")

    def tool_server(self, name: str) -> ServerSpec:
        """Return the server that a tool's name resolves to.

        It is not checked whether the server has the tool.
        """
        server = self.catalog.owner(name) or self._server_of_namespace(name)
        if server is None:
            known = list(self.catalog.full_names())
            namesakes = [full for full in known if full.endswith(f"{SEPARATOR}{name}")]
            hint = _format_namesakes(namesakes) or _suggest(name, known)
            raise MalformedName(
                f"{name!r} is not a tool's full name, which has the form server{SEPARATOR}tool; "
                f"{hint}{FIND_NAMES.for_models}"
            )
        return self.server(server)

    def strip_client_prefix(self, name: str) -> str:
        """Return a tool's full name without what a client puts before it.

        Clients name tools `mcp__gateway__server__tool`, `mcp_gateway_server__tool`, `gateway:server__tool` and the
        like. A name that begins with the namespace of a server stays as it is: it belongs to that server.
        """
        name = name.strip()
        parts = split_name(name)
        namespaces = self.registry.admission.reservations.servers
        if self.catalog.owner(name) or (parts is not None and parts[0] in namespaces):
            return self._without_client_suffix(name)
        tails = [name[at + 1 :] for at in range(len(name[:_MAX_PREFIX]) - 1) if name[at] in _BORDERS]
        inside = [tail for tail in tails if (part := split_name(tail)) is not None and part[0] in namespaces]
        for tail in inside:
            # Of a server that is not listed, nobody knows which tools it has.
            if self.catalog.owner(tail) or namespaces[tail.partition(SEPARATOR)[0]] not in self.catalog.servers:
                return tail
        bare = (tail for tail in tails if self.catalog.owner(tail)) if _MARKED.match(name) else iter(())
        return next(iter(inside), None) or next(bare, name)

    def _without_client_suffix(self, name: str) -> str:
        """Return a name without `_mcp_gateway`, which LibreChat appends."""
        head = name.rpartition("_mcp_")[0]
        return head if head and not self.catalog.owner(name) and self.catalog.owner(head) else name

    def _server_of_namespace(self, name: str) -> str | None:
        """Return the server of a name's namespace.

        It may not be configured. A name without a namespace belongs to the only server that has none, if any.
        """
        parts = split_name(name)
        specs = self.registry.specs.values()
        if parts is not None:
            return self.registry.admission.reservations.servers.get(parts[0], parts[0])
        return next((spec.name for spec in specs if spec.namespace is None), None)

    def unknown_tool_error(self, name: str, listing: Listing) -> UnknownTool:
        """Build the error for a tool that the server lacks."""
        server = listing.server
        tool = name.removeprefix("" if listing.prefix is None else f"{listing.prefix}{SEPARATOR}")
        near = [listing.full_name(similar) for similar in find_similar_names(tool, listing.by_name)]
        near = near or find_similar_names(name, self.catalog.full_names())
        hint = _format_hint(near)
        return UnknownTool(f"server {server!r} has no tool {tool!r}; {hint}{FIND_NAMES.for_models}")


def _suggest(name: str, known: Iterable[str]) -> str:
    return _format_hint(find_similar_names(name, known))


def _format_namesakes(names: list[str]) -> str:
    """Format the hint for tools that share a name."""
    more = len(names) - _MOST_NAMESAKES
    return f"{_format_hint(names[:_MOST_NAMESAKES])}{f'({more} more have that name) ' if more > 0 else ''}"


def _format_hint(near: list[str]) -> str:
    return f"{format_suggestion(near)} " if near else ""
