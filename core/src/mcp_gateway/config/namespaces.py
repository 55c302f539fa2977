"""Namespaces of servers, which must be unique."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.tool_names import fold_name, is_server_name, name_prefixes


class NamedServer(Protocol):
    """A server with a name and a namespace."""

    @property
    def name(self) -> str:
        """The server's name."""
        ...

    @property
    def namespace(self) -> str | None:
        """The prefix of the server's full names, or None for none."""
        ...


def check_namespace(namespace: str | None, others: Iterable[NamedServer], max_name: int | None = None) -> list[str]:
    """Check that a namespace is unique; return warnings of look-alikes.

    Look-alikes are namespaces that some clients cannot distinguish from this one.

    Raises:
        ConfigError: another server has the same namespace.

    """
    warnings: list[str] = []
    for other in others:
        if namespace is None and other.namespace is None:
            raise ConfigError(_describe_clash("neither has a namespace", other))
        if namespace is None or other.namespace is None:
            continue
        if namespace == other.namespace:
            raise ConfigError(_describe_clash(f"both have the namespace {namespace!r}", other))
        mine, theirs = name_prefixes(namespace, max_name), name_prefixes(other.namespace, max_name)
        if both := set(mine) & set(theirs):
            raise ConfigError(_describe_clash(f"the short names of both begin with {min(both)!r}", other))
        if set(map(fold_name, mine)) & set(map(fold_name, theirs)):
            warnings.append(
                f"namespace: some clients cannot tell {namespace!r} from {other.namespace!r}, that of server "
                f"{other.name!r}; give one of them another"
            )
    return warnings


def read_namespace(keys: Mapping[str, object]) -> str | None:
    """Return the namespace of a disabled entry, if readable."""
    namespace = keys.get("namespace", keys.get("name"))
    return namespace if isinstance(namespace, str) and is_server_name(namespace) else None


def _describe_clash(shared: str, other: NamedServer) -> str:
    return f"namespace: {shared}, this server and {other.name!r}; give one of them another"
