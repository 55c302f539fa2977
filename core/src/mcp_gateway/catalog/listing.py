"""The listing of one server: its tools, prompts and resources.

Definitions stay exactly as the server wrote them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from mcp_gateway.catalog.omissions import Omission
from mcp_gateway.catalog.refusal import Refusal
from mcp_gateway.catalog.repair.definitions import LeftOut
from mcp_gateway.catalog.repair.repairs import Repairs
from mcp_gateway.catalog.search_documents import document_from_definition
from mcp_gateway.catalog.uri_templates import matches_template
from mcp_gateway.config.tool_policy import ToolPolicy
from mcp_gateway.plugin import Document
from mcp_gateway.protocol.encoded_json import may_contain, read
from mcp_gateway.protocol.primitives import PRIMITIVES, PROMPTS, TOOLS, Primitive
from mcp_gateway.protocol.tool_names import former_names, full_name, full_names, split_name

Definition = Mapping[str, Any]
"""The definition of a tool, prompt, resource or template: the server's JSON object with all of its fields."""


def is_repeatable(definition: Definition) -> bool:
    """Whether a tool's annotations declare repeated calls harmless.

    That is `readOnlyHint` or `idempotentHint`.
    """
    hints = definition.get("annotations")
    return isinstance(hints, dict) and (hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True)


@dataclass(frozen=True, slots=True)
class CacheHint:
    """Cache hint of a list result: TTL in milliseconds and scope.

    The scope is "public" if the list may be cached for all callers, else "private".
    """

    ttl_ms: int
    scope: str


@dataclass(frozen=True)
class Listing:
    """The listing of one server, with its `initialize` result.

    It is immutable; a refresh makes a new one.

    * `fetched`: when the server was listed, in seconds since the epoch.
    * `description`: the server's description, its `instructions` or its title.
    * `initialize_result`: the result of `initialize` or `server/discover`, unmodified.
    * `client_capabilities`: the client capabilities that the server was given.
    * `hints`: cache hints by the name of the primitive.
    * `namespace`: the prefix of full names; None for no prefix, empty for the server's name.
    * `max_name`: how long full names may be, if that is configured.
    * `withheld`: tools that the server has but that are not in `tools`, with the reason.
    * `refused`: definitions under names of other owners; they are in no other field.
    * `forbidden`: names of tools that the server has and the configuration forbids; they are in no other field.
    * `idle_globs`: globs of the configuration that match none of the server's tools.
    * `omissions`: what is missing in it.
    * `repairs`: what clients see in the place of definitions that they would refuse.
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
    max_name: int | None = field(default=None, compare=False)
    withheld: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()
    omissions: tuple[Omission, ...] = field(default=(), compare=False)
    forbidden: tuple[str, ...] = field(default=(), compare=False)
    idle_globs: tuple[str, ...] = field(default=(), compare=False)
    repairs: Repairs = field(default_factory=Repairs)

    def restrict(self, policy: ToolPolicy) -> Listing:
        """Return the listing without the tools that a policy forbids.

        Every listing passes here before anything else sees it: what comes from the server, from storage, and what is
        kept when the configuration changes.
        """
        if not policy:
            return self
        names = [definition["name"] for definition in self.tools]
        gone = {name for name in names if not policy.permits(name)}
        return replace(
            self,
            tools=tuple(definition for definition in self.tools if definition["name"] not in gone),
            withheld={name: why for name, why in self.withheld.items() if policy.permits(name)},
            refused=tuple(one for one in self.refused if one.primitive != TOOLS.name or policy.permits(one.name)),
            forbidden=tuple(dict.fromkeys(name for name in names if name in gone)),
            idle_globs=tuple(policy.find_idle(names)),
        )

    def why_withheld(self, name: str) -> str | None:
        """Return why a tool is withheld, by its full name.

        None if the server has no such tool or it is not withheld.
        """
        return next((why for offered, why in self.withheld.items() if self._is_called(offered, name)), None)

    def why_refused(self, kind: str, name: str) -> str | None:
        """Return why a definition is refused, by its full name.

        None if the server does not list such a definition or it is not refused.
        """
        found = (refusal for refusal in self.refused if refusal.primitive == kind)
        return next((f"its {refusal.what}" for refusal in found if self._is_called(refusal.name, name)), None)

    def full_name(self, name: str) -> str:
        """Return a tool's or prompt's full name."""
        return self._full_names.get(name) or full_name(self.prefix, name, self.max_name)

    def _is_called(self, offered: str, name: str) -> bool:
        return name == self.full_name(offered) or name in former_names(self.prefix, offered)

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """The capabilities that the server declared."""
        declared = self.initialize_result.get("capabilities")
        return declared if isinstance(declared, dict) else {}

    @property
    def age(self) -> float:
        """Seconds since the listing was fetched.

        It is the absolute difference, so that a listing does not count as fresh for long after the clock was set back.
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
    def prefix(self) -> str | None:
        """The namespace that full names begin with, or None for none."""
        return self.server if self.namespace == "" else self.namespace

    @cached_property
    def by_name(self) -> Mapping[str, Definition]:
        """The tools by unqualified name."""
        return {definition["name"]: definition for definition in self.tools}

    @cached_property
    def _full_names(self) -> Mapping[str, str]:
        """The full names of tools and prompts by unqualified name."""
        return full_names(
            self.prefix, {**self.by_name, **{prompt["name"]: 0 for prompt in self.prompts}}, self.max_name
        )

    @cached_property
    def tool_names(self) -> Mapping[str, str]:
        """The unqualified tool names by full name."""
        return {self.full_name(name): name for name in self.by_name}

    @cached_property
    def prompts_by_name(self) -> Mapping[str, Definition]:
        """The prompts by full name."""
        return {self.full_name(definition["name"]): definition for definition in self.prompts}

    @cached_property
    def former_tool_names(self) -> Mapping[str, str]:
        """The unqualified tool names by names of another length.

        Clients may remember these; whole names that begin with a namespace are not among them.
        """
        if self.max_name is None:
            return {}
        return {form: name for name in self.by_name for form in former_names(self.prefix, name)}

    def shown(self, primitive: Primitive) -> Iterator[tuple[str, Definition]]:
        """Yield what clients see of a primitive: names and definitions.

        Only tools and prompts have full names.
        """
        if primitive is TOOLS:
            listed: Iterable[tuple[str, Definition]] = (
                (name, self.by_name[tool]) for name, tool in self.tool_names.items()
            )
        elif primitive is PROMPTS:
            listed = self.prompts_by_name.items()
        else:
            listed = ((definition[primitive.key], definition) for definition in getattr(self, primitive.name))
        return self.repairs.apply(primitive, listed)

    @cached_property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The definitions that clients do not see."""
        return self.repairs.find_left_out({kind.name: getattr(self, kind.name) for kind in PRIMITIVES})

    def tool_name(self, name: str) -> str | None:
        """Return a tool's unqualified name by full, short or former name."""
        parts = split_name(name)
        if parts is not None and parts[0] == self.prefix and parts[1] in self.by_name:
            return parts[1]
        return self.tool_names.get(name) or self.former_tool_names.get(name)

    def prompt(self, name: str) -> Definition | None:
        """Return a prompt by its full name, or by a former one."""
        return self.prompts_by_name.get(name) or next(
            (prompt for prompt in self.prompts if name in former_names(self.prefix, prompt["name"])), None
        )

    def lists(self, uri: str) -> bool:
        """Whether the server lists a resource with exactly this URI."""
        return uri in self._uris

    def has_template(self, uri: str) -> bool:
        """Whether a listed resource template equals or matches `uri`."""
        return any(matches_template(template["uriTemplate"], uri) for template in self.templates)

    @cached_property
    def _uris(self) -> frozenset[str]:
        return frozenset(definition["uri"] for definition in self.resources)

    @cached_property
    def header_arguments(self) -> Mapping[str, Mapping[tuple[str, ...], str]]:
        """Arguments that a modern server wants as `Mcp-Param-*` headers, by tool.

        They are sent as headers in addition to the body.
        """
        # Imported here because the package is slow to import, and only calls need it.
        from mcp.shared.inbound import X_MCP_HEADER_KEY, x_mcp_header_map

        some = {name: tool for name, tool in self.by_name.items() if may_contain(tool, X_MCP_HEADER_KEY)}
        found = {name: x_mcp_header_map(tool.get("inputSchema")) for name, tool in some.items()}
        return {name: paths for name, paths in found.items() if paths}

    def documents(self) -> Iterator[Document]:
        """Yield the tools as search documents.

        They are not cached: each ranker builds an index from them and drops them.
        """
        for name, tool in self.shown(TOOLS):
            yield document_from_definition(self.server, tool, name)
