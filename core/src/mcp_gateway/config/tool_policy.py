"""Tool policy: the tools of a server that may be used.

A policy is a sequence of rule lists, and a tool must pass each of them. So whoever adds a list can forbid more, and
never permit again what another list forbids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from hashlib import sha256

from pydantic import BaseModel, ConfigDict, Field

from mcp_gateway.protocol.tool_names import fold_name

_WILDCARD = re.compile(r"(\*|\?|\[[^\]]*\])")


@dataclass(frozen=True, slots=True)
class ToolRule:
    """A glob for names of tools, and whether what matches is permitted.

    `prefix` is what another program puts before a tool's name, if the glob is meant for such names. `is_shared` says
    that the rule stands for several servers.
    """

    glob: str
    permits: bool
    prefix: str = ""
    is_shared: bool = False

    def matches(self, name: str) -> bool:
        """Whether a tool's own name matches.

        Where it forbids, names that look the same match as well: a server must not get around it with another case.
        """
        whole = self.prefix + name
        if _compile(self.glob).match(whole):
            return True
        return not self.permits and _compile(_fold_glob(self.glob)).match(fold_name(whole)) is not None


@dataclass(frozen=True, slots=True)
class RuleList:
    """Rules of which the last that matches decides, else `default`."""

    rules: tuple[ToolRule, ...]
    default: bool = True

    def permits(self, name: str) -> bool:
        """Whether a tool passes this list."""
        return next((rule.permits for rule in reversed(self.rules) if rule.matches(name)), self.default)


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """The rule lists of a server; without any, every tool is permitted."""

    lists: tuple[RuleList, ...] = ()

    def __bool__(self) -> bool:
        """Whether it forbids anything at all."""
        return bool(self.lists)

    def permits(self, name: str) -> bool:
        """Whether a tool may be used, by its name at the server."""
        return all(rules.permits(name) for rules in self.lists)

    def within(self, other: ToolPolicy) -> ToolPolicy:
        """Return the policy that permits only what both permit."""
        return ToolPolicy((*self.lists, *other.lists))

    def find_idle(self, names: Iterable[str]) -> list[str]:
        """Return the globs that match none of these tools.

        Such a glob is probably misspelled, and what it was to forbid is not forbidden.
        """
        known = list(names)
        rules = (rule for found in self.lists for rule in found.rules if not rule.is_shared)
        return [rule.glob for rule in rules if not any(map(rule.matches, known))]

    @property
    def digest(self) -> str:
        """A short hash, empty if nothing is forbidden."""
        if not self.lists:
            return ""
        written = [[found.default, [[r.glob, r.permits, r.prefix] for r in found.rules]] for found in self.lists]
        return sha256(json.dumps(written).encode()).hexdigest()[:12]


def policy_from_globs(include: Iterable[str] | None = None, exclude: Iterable[str] | None = None) -> ToolPolicy:
    """Return the policy of `include` and `exclude`; None is no list.

    An empty `include` permits nothing.
    """
    lists: list[RuleList] = []
    if include is not None:
        lists.append(RuleList(tuple(ToolRule(glob, permits=True) for glob in include), default=False))
    if rules := tuple(ToolRule(glob, permits=False) for glob in exclude or ()):
        lists.append(RuleList(rules))
    return ToolPolicy(tuple(lists))


class ToolFilter(BaseModel):
    """The tools of a server that may be used."""

    # A misspelled key would forbid nothing.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    include: tuple[str, ...] | None = Field(None, description="Globs: only tools of these names may be used")
    exclude: tuple[str, ...] = Field((), description="Globs: tools of these names may not be used")

    @property
    def policy(self) -> ToolPolicy:
        """The policy that it comes to."""
        return policy_from_globs(self.include, self.exclude)


@lru_cache(maxsize=4096)
def _compile(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


@lru_cache(maxsize=4096)
def _fold_glob(glob: str) -> str:
    """Fold the text of a glob, and keep its wildcards."""
    parts = _WILDCARD.split(glob)
    return "".join(part.lower() if at % 2 else fold_name(part) for at, part in enumerate(parts))
