"""What is missing in the listing of a server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mcp_gateway.protocol.primitives import TOOLS, Primitive

if TYPE_CHECKING:
    from mcp_gateway.catalog.listing import Definition, Listing


@dataclass(frozen=True, slots=True)
class Omission:
    """A part of a server's list that is missing in its listing.

    `reason` says what is missing, and why. `is_failure` means that the server may list it another time.
    """

    primitive: Primitive
    reason: str
    is_failure: bool = False

    def __str__(self) -> str:
        """Name the list and the reason."""
        return f"{self.primitive.method}: {self.reason}"


def why_tools_are_missing(listing: Listing) -> str:
    """Return which failure left out tools; empty if none did."""
    found = (omission for omission in listing.omissions if omission.is_failure and omission.primitive is TOOLS)
    return next((omission.reason for omission in found), "")


def fill_in(listing: Listing, before: Listing | None) -> Listing:
    """Add definitions of an earlier listing to lists that failed."""
    failed = {omission.primitive for omission in listing.omissions if omission.is_failure}
    if before is None or not failed:
        return listing
    kept: dict[str, Any] = {kind.name: _merge(kind, before, listing) for kind in failed}
    repairs = listing.repairs
    for kind in failed:
        repairs = repairs.fill_in(before.repairs, kind, getattr(listing, kind.name))
    return replace(listing, **kept, repairs=repairs)


def _merge(kind: Primitive, before: Listing, listing: Listing) -> tuple[Definition, ...]:
    both = (*getattr(before, kind.name), *getattr(listing, kind.name))
    return tuple({definition[kind.key]: definition for definition in both}.values())
