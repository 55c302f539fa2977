"""Name reservations: which server or the gateway owns a name.

Every listing is checked here before it enters the catalog, whether it comes from the server, from storage or from
another replica, and again when the configured servers change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import structlog

from mcp_gateway.catalog.listing import Definition, Listing
from mcp_gateway.catalog.refusal import Refusal
from mcp_gateway.catalog.repair.definitions import LeftOut
from mcp_gateway.config.namespaces import NamedServer
from mcp_gateway.config.server_spec import DisabledServer, ServerSpec
from mcp_gateway.protocol.primitives import PRIMITIVES, PROMPTS, RESOURCES, TEMPLATES, TOOLS, Primitive
from mcp_gateway.protocol.tool_names import (
    OWN_TOOLS,
    OWN_URIS,
    SEPARATOR,
    fold_name,
    is_server_name,
    name_prefixes,
)
from mcp_gateway.text.suggestions import suggest_word

log = structlog.get_logger(__name__)

MAX_WARNINGS = 20
"""How many refusals of one server are logged one by one, so that a server cannot flood the log."""

GATEWAY = "the gateway itself"

_NAMED = frozenset({TOOLS, PROMPTS})
_LOCATED = frozenset({RESOURCES, TEMPLATES})


def transparent_server(specs: Collection[ServerSpec]) -> ServerSpec | None:
    """Return the transparent server, if there is one.

    Clients see it as if there were no gateway: it is the only server, has no namespace and exposes its tools.
    """
    only = next(iter(specs)) if len(specs) == 1 else None
    return only if only is not None and only.namespace is None and TOOLS.name in only.exposed else None


@dataclass(frozen=True, slots=True)
class Reservations:
    """Reserved names and prefixes, by owner.

    They are reserved whether or not the server is available. `names` and `prefixes` map case-folded text to the name
    of the owning server, empty for the gateway. `servers` maps namespaces to servers.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, specs: Collection[ServerSpec], disabled: Iterable[DisabledServer] = ()) -> Reservations:
        """Reserve the built-in names and the prefix of every server.

        Built-in names are not reserved if there is a transparent server, for then the gateway lists no tools.
        """
        builtin = () if transparent_server(specs) is not None else OWN_TOOLS
        prefixes: dict[str, str] = {}
        servers: dict[str, str] = {}
        configured: list[NamedServer] = [*specs, *disabled]
        for server in configured:
            if server.namespace is not None:
                servers.setdefault(server.namespace, server.name)
        # A server's name is reserved in addition to its namespace: it must never lead to another server's tool.
        named = [*servers.items(), *((name, name) for name in _names(specs, disabled))]
        max_name = next((spec.max_name for spec in specs), None)
        for namespace, name in named:
            for prefix in name_prefixes(namespace, max_name):
                prefixes.setdefault(fold_name(prefix), name)
                if prefix.endswith(SEPARATOR):
                    servers.setdefault(prefix.removesuffix(SEPARATOR), name)
        return cls({fold_name(name): "" for name in builtin}, prefixes, servers)

    def admit(self, listing: Listing) -> Listing:
        """Return a listing without definitions under reserved names.

        The listing has these as `refused`.
        """
        # A quick check first: this runs for every listing at every change, and almost none needs the full check.
        if not (listing.refused or self._needs_check(listing)):
            return listing
        kept: dict[str, tuple[Definition, ...]] = {}
        refused: list[Refusal] = []
        for primitive in PRIMITIVES:
            before = (refusal.definition for refusal in listing.refused if refusal.primitive == primitive.name)
            listed = {id(definition): definition for definition in (*getattr(listing, primitive.name), *before)}
            found = list(self._refusals(listing, primitive, listed.values()))
            refused += found
            # By identity, because definitions are mappings and not hashable.
            gone = {id(refusal.definition) for refusal in found}
            kept[primitive.name] = tuple(definition for at, definition in listed.items() if at not in gone)
        return replace(
            listing,
            tools=kept[TOOLS.name],
            prompts=kept[PROMPTS.name],
            resources=kept[RESOURCES.name],
            templates=kept[TEMPLATES.name],
            refused=tuple(refused),
        )

    def _needs_check(self, listing: Listing) -> bool:
        """Whether a listing needs a full check for reserved names.

        It usually does not, because its names begin with its own namespace.
        """
        if listing.namespace is None or len(listing.tool_names) < len(listing.by_name):
            return True
        prompts = {prompt["name"] for prompt in listing.prompts}
        return len(listing.prompts_by_name) < len(prompts) or any(map(_is_own, _uris(listing)))

    def _refusals(self, listing: Listing, primitive: Primitive, listed: Iterable[Definition]) -> Iterator[Refusal]:
        taken: dict[str, str] = {}
        for definition in listed:
            name = definition[primitive.key]
            if primitive in _LOCATED:
                owner = GATEWAY if _is_own(name) else None
            else:
                first = taken.setdefault(listing.full_name(name), name)
                rival = None if first == name else f"its {primitive.name.removesuffix('s')} {first!r}"
                owner = rival or (self._owner(listing.server, name) if listing.namespace is None else None)
            if owner is not None:
                yield Refusal(primitive.name, name, owner, definition)

    def _owner(self, server: str, name: str) -> str | None:
        """Return the owner of a name without a namespace.

        The result is a phrase that names the owner, or None if the listing server itself owns the name.
        """
        folded = fold_name(name)
        if folded in self.names:
            return GATEWAY
        if not folded.startswith(tuple(self.prefixes)):
            return None
        owners = {owner for prefix, owner in self.prefixes.items() if folded.startswith(prefix)} - {server}
        return f"server {min(owners)!r}" if owners else None


@dataclass(slots=True)
class Admission:
    """Admission of listings, with one warning per refused definition."""

    reservations: Reservations = field(default_factory=Reservations)
    _warned: dict[str, set[tuple[str, str, str]]] = field(default_factory=dict)
    _idle_globs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _left_out: dict[str, set[LeftOut]] = field(default_factory=dict)

    def admit(self, listing: Listing) -> Listing:
        """Apply `Reservations.admit` to a listing, and log new refusals."""
        admitted = self.reservations.admit(listing)
        self._warn_left_out(admitted)
        warned = self._warned.setdefault(listing.server, set())
        for refusal in admitted.refused:
            key = (refusal.primitive, refusal.name, refusal.owner)
            if key in warned or len(warned) > MAX_WARNINGS:
                continue
            warned.add(key)
            if len(warned) > MAX_WARNINGS:
                log.warning("more definitions refused", server=listing.server, refused=len(admitted.refused))
            else:
                reason = describe_refusal(listing.server, refusal)
                log.warning("definition refused", server=listing.server, name=refusal.name, reason=reason)
        self._warn_idle_globs(listing)
        return admitted

    def _warn_idle_globs(self, listing: Listing) -> None:
        """Warn once of a policy's globs that match no tool."""
        if listing.idle_globs != self._idle_globs.get(listing.server, ()):
            self._idle_globs[listing.server] = listing.idle_globs
            if listing.idle_globs:
                log.warning("tool pattern idle", server=listing.server, patterns=list(listing.idle_globs))

    def _warn_left_out(self, listing: Listing) -> None:
        """Warn of definitions that clients do not see, once of each."""
        warned = self._left_out.setdefault(listing.server, set())
        for left_out in listing.left_out:
            if left_out in warned or len(warned) > MAX_WARNINGS:
                continue
            warned.add(left_out)
            if len(warned) > MAX_WARNINGS:
                log.warning("more definitions left out", server=listing.server, left_out=len(listing.left_out))
            else:
                reason = f"server {listing.server!r}: its {left_out.what}"
                log.warning("definition left out", server=listing.server, name=left_out.name, reason=reason)


def describe_idle_globs(listing: Listing) -> list[str]:
    """Describe the globs of a policy that match no tool."""
    names = [*listing.by_name, *listing.forbidden]
    return [
        f'server {listing.server!r}: none of its tools is called {glob!r}, which "tools" names'
        f"{suggest_word(glob, names)}"
        for glob in listing.idle_globs
    ]


def describe_refusal(server: str, refusal: Refusal) -> str:
    """Describe a refused definition, its owner and the remedy."""
    advice = (
        f'; give server {server!r} a "namespace"'
        if refusal.primitive in {primitive.name for primitive in _NAMED}
        else ""
    )
    return f"server {server!r}: its {refusal.what}{advice}"


def _names(specs: Collection[ServerSpec], disabled: Iterable[DisabledServer]) -> list[str]:
    """Return the names of namespaced and disabled servers.

    Those of namespaced servers are reserved whatever the namespace is.
    """
    left_out = [server.name for server in disabled if is_server_name(server.name)]
    return [*(spec.name for spec in specs if spec.namespace is not None), *left_out]


def _uris(listing: Listing) -> Iterator[str]:
    for primitive in _LOCATED:
        for definition in getattr(listing, primitive.name):
            yield definition[primitive.key]


def _is_own(uri: str) -> bool:
    return uri.lower().startswith(OWN_URIS)
