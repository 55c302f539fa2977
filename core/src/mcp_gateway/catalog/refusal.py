"""Definitions that are refused because of their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_gateway.catalog.repair.definitions import quote_name


@dataclass(frozen=True, slots=True)
class Refusal:
    """A definition refused because its name is reserved for another owner.

    `primitive` is the name of its primitive, `name` its unqualified name, and `owner` a phrase that names the owner.
    """

    primitive: str
    name: str
    owner: str
    definition: Mapping[str, Any]

    @property
    def what(self) -> str:
        """The definition and the owner of its name, in words.

        Text that comes from the server is quoted and shortened.
        """
        quoted = quote_name(self.name)
        return f"{self.primitive.removesuffix('s')} {quoted} is refused: the name belongs to {self.owner}"
