"""The trace of a loop, as gateways send it to each other.

A gateway gets it as a request of its own. A proxy between two gateways may shake hands anew and pass on nothing but
tools, so through one it goes as a call of `tool_search`, whose query no person writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mcp_gateway.loops.chain import Chain

TRACE_METHOD = "mcp-orchestration-gateway/trace"
"""The request that gateways send each other; no other server gets it."""

MAX_STEPS = 16
"""Through how many gateways a trace goes."""

SEARCH_PARAMETERS = frozenset({"query", "max_results", "use_regex", "ranker", "server", "explain"})
"""The parameters by which the gateway's `tool_search` is known from tools of the same name."""

_SEARCH_TOOL = "tool_search"
_MAX_SEARCH_TOOLS = 4
_NAME = re.compile(r"[0-9a-f]{1,64}")
_QUERY = re.compile(
    re.escape(TRACE_METHOD) + r" (?P<chain>[0-9a-f.,]{1,1024}) (?P<name>[0-9a-f]{1,64}) (?P<steps>\d\d?)"
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace of a loop, on its way through gateways.

    `chain` is who sent it, `steps` how far it has come. `name` is random, so that a gateway answers each trace once.
    """

    chain: Chain
    name: str
    steps: int = 0

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Trace | None:
        """Read the parameters of a request; None if they are no trace."""
        chain, name, steps = Chain.parse(params.get("chain")), params.get("trace"), params.get("steps")
        if not chain.hops or not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(steps, int):
            return None
        return cls(chain, name, steps) if 0 <= steps <= MAX_STEPS else None

    @classmethod
    def from_query(cls, query: object) -> Trace | None:
        """Read the query of a search; None if it is a search."""
        found = _QUERY.fullmatch(query) if isinstance(query, str) else None
        if found is None:
            return None
        return cls.from_params({"chain": found["chain"], "trace": found["name"], "steps": int(found["steps"])})

    def next(self) -> Trace:
        """Return the trace for the gateways behind this one."""
        return replace(self, steps=self.steps + 1)

    def to_request(self, tool: str) -> tuple[str, Json]:
        """Return method and parameters of the request.

        With the name of a tool it is a call of it.
        """
        if not tool:
            return TRACE_METHOD, {"chain": str(self.chain), "trace": self.name, "steps": self.steps}
        query = f"{TRACE_METHOD} {self.chain} {self.name} {self.steps}"
        return "tools/call", {"name": tool, "arguments": {"query": query}}


def find_search_tools(tools: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the tools that are the `tool_search` of gateways.

    A proxy may have put something before the name. Tools of another make are none of them, whatever they are called.
    """
    named = (tool for tool in tools if str(tool["name"]).endswith(_SEARCH_TOOL))
    found = (str(tool["name"]) for tool in named if _parameters(tool.get("inputSchema")) >= SEARCH_PARAMETERS)
    return tuple(sorted(found, key=len)[:_MAX_SEARCH_TOOLS])


def read_loop(answer: Mapping[str, Any]) -> list[str]:
    """Return the gateways of the loop that an answer tells of."""
    loop = (answer if "loop" in answer else _read_tool_result(answer)).get("loop")
    hops = loop if isinstance(loop, list) else []
    return [hop for hop in hops[: MAX_STEPS + 1] if Chain.parse(hop).hops]


def _parameters(schema: object) -> frozenset[str]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return frozenset(properties) if isinstance(properties, Mapping) else frozenset()


def _read_tool_result(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the content of a tool's result.

    Some proxies pass on the text alone.
    """
    structured = result.get("structuredContent")
    if isinstance(structured, Mapping):
        return structured
    content = result.get("content")
    first = content[0] if isinstance(content, list) and content else None
    text = first.get("text") if isinstance(first, Mapping) else None
    try:
        read = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, Mapping) else {}
