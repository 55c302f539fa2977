"""What one server offers, at one moment.

Definitions stay as the server wrote them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mcp_gateway.catalog.search_documents import document_from_definition
from mcp_gateway.plugin import Document
from mcp_gateway.protocol.encoded_json import may_contain, read
from mcp_gateway.protocol.tool_names import MAX_NAME, full_name, split_name

if TYPE_CHECKING:
    from mcp.shared.uri_template import UriTemplate

Definition = Mapping[str, Any]
"""What a server said of a tool, prompt, resource or template: a JSON object, with all of its fields."""


def is_repeatable(definition: Definition) -> bool:
    """Whether a tool's annotations declare repeated calls harmless.

    That is `readOnlyHint` or `idempotentHint`.
    """
    hints = definition.get("annotations")
    return isinstance(hints, dict) and (hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True)


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

    `primitive` is its kind by name, `name` the server's own, and `owner` says in words whose it is.
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
        return next((why for offered, why in self.withheld.items() if self.full_name(offered) == name), None)

    def why_refused(self, kind: str, name: str) -> str | None:
        """Return why a definition is refused, by its full name.

        None if the server does not list such a definition or it is not refused.
        """
        found = (refusal for refusal in self.refused if refusal.primitive == kind)
        return next((f"its {refusal.what}" for refusal in found if self.full_name(refusal.name) == name), None)

    def full_name(self, name: str) -> str:
        """Return a tool's or prompt's full name."""
        return full_name(self._prefix, name)

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
        for name, tool in self.tool_names.items():
            yield document_from_definition(self.server, self.by_name[tool], name)


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
