"""Policy for changed tool definitions.

A definition has changed if it differs from the pin made when it was first seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import anyio.to_thread
import structlog

from mcp_gateway.catalog.listing import Definition, Listing
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.config.settings import PinningMode
from mcp_gateway.pinning.pins import MAX_PINS, Pin, Pins, compress_pins, decompress_pins, hash_of, pin_fields
from mcp_gateway.pinning.scanner import distinctive, scan, scan_rest
from mcp_gateway.pinning.store import PinStore, pin_name
from mcp_gateway.plugin import StorageError
from mcp_gateway.protocol.encoded_json import as_bytes, read

log = structlog.get_logger(__name__)

MAX_WARNINGS = 3
"""How many changes of one tool are logged as warnings; further ones are logged at `debug`."""

_IN_A_THREAD = 20_000
"""From how many bytes of definitions the comparison runs in a thread: they take about 10 ms."""


@dataclass(slots=True)
class Pinning:
    """Policy that compares every listing with the pins before publication.

    `seen` returns the catalog that is common to all callers.

    Listings for a caller's own credentials have separate pins, which hold hashes instead of texts. They are shared by
    all callers, so a definition that was listed to one caller is known for the others.
    `_kept` has the latest pins, compressed, for when the store fails. Stored pins that could not be read (`_unread`)
    are never overwritten: they may record that a definition has changed.
    """

    mode: PinningMode
    shelf: PinStore
    seen: Callable[[], Catalog]
    _kept: dict[str, bytes] = field(default_factory=dict)
    _unsaved: set[str] = field(default_factory=set)
    _unread: set[str] = field(default_factory=set)
    _warnings: dict[tuple[str, str], int] = field(default_factory=dict)
    _failing: bool = False

    async def admit(self, spec: ServerSpec, listing: Listing, *, personal: bool = False) -> Listing:
        """Compare a listing with the pins; return its visible part.

        In the mode `block` tools with unapproved changes are withheld.
        """
        if self.mode == "off":
            return listing
        await self._scan_rest(spec, listing)
        if not listing.tools:
            return listing
        name = pin_name(spec, personal=personal)
        before = await self._load_pins(name)
        if before is None:
            why = "the pins cannot be read, so nobody can tell whether its definition has changed; the log says why"
            return replace(listing, tools=(), withheld={tool["name"]: why for tool in listing.tools})
        others = self._others(listing.server)
        if _is_short(listing.tools):
            after, self._kept[name] = _compare_pins(before, listing.tools, others, personal)
        else:
            after, self._kept[name] = await anyio.to_thread.run_sync(
                _compare_pins, before, listing.tools, others, personal
            )
        if name not in self._unread and (after != before or name in self._unsaved):
            await self._keep(name, after)
        self._tell(spec, before, after)
        return self._withhold_changed(listing, after) if self.mode == "block" else listing

    async def _scan_rest(self, spec: ServerSpec, listing: Listing) -> None:
        """Warn of suspicious prompts, resources and instructions, once a run."""
        if _is_short((*listing.prompts, *listing.resources, *listing.templates, listing.initialize_result)):
            found = scan_rest(listing)
        else:
            found = await anyio.to_thread.run_sync(scan_rest, listing)
        for part, rules in found.items():
            if (spec.name, part) not in self._warnings:
                self._warnings[spec.name, part] = 1
                log.warning("suspicious definition", server=spec.name, part=part, rules=list(rules))

    async def _load_pins(self, name: str) -> Pins | None:
        """Return the pins of a server.

        None if they cannot be read and the mode is `block`, which needs them.
        """
        if name not in self._unsaved:
            try:
                found = await self.shelf.load(name)
            except StorageError as error:
                self._unread.add(name)
                self._complain(error)
            else:
                self._unread.discard(name)
                self._failing = False
                return found
        if name in self._kept:
            return await anyio.to_thread.run_sync(decompress_pins, self._kept[name])
        # Unreadable pins may record a changed definition, so `block` lists nothing then.
        return None if self.mode == "block" else {}

    def _others(self, server: str) -> frozenset[str]:
        listings = self.seen().servers
        mine = listings[server].by_name if server in listings else {}
        names = (name for other, listing in listings.items() if other != server for name in listing.by_name)
        return distinctive(names) - frozenset(mine)

    async def _keep(self, name: str, pins: Pins) -> None:
        try:
            await self.shelf.save(name, pins)
        except StorageError as error:
            self._unsaved.add(name)
            self._complain(error)
        else:
            self._unsaved.discard(name)
            self._failing = False

    def _complain(self, error: StorageError) -> None:
        if not self._failing:
            log.warning(
                "pins unavailable", reason=str(error), hint="changes of definitions are noticed within this run only"
            )
        self._failing = True

    def _tell(self, spec: ServerSpec, before: Pins, after: Pins) -> None:
        for tool, pin in after.items():
            was, warned = before.get(tool), self._warnings.get((spec.name, tool), 0)
            if not (pin.pending or pin.flags):
                continue
            if warned and was is not None and (was.pending, was.flags) == (pin.pending, pin.flags):
                continue  # already logged in this run
            self._warnings[spec.name, tool] = warned + 1
            self._log_pin(spec, tool, pin, logging.WARNING if warned < MAX_WARNINGS else logging.DEBUG)

    def _log_pin(self, spec: ServerSpec, tool: str, pin: Pin, level: int) -> None:
        if pin.pending:
            withheld = {"withheld": True} if self.mode == "block" else {}
            log.log(level, "definition changed", server=spec.name, tool=tool, change=pin.change, **withheld)
        if pin.flags:
            log.log(level, "suspicious definition", server=spec.name, tool=tool, rules=list(pin.flags))

    def _withhold_changed(self, listing: Listing, pins: Pins) -> Listing:
        changed = {
            tool["name"]: pins[tool["name"]].change
            for tool in listing.tools
            if tool["name"] in pins and pins[tool["name"]].pending
        }
        if not changed:
            return listing
        advice = "; who runs the gateway can look at it and approve it: mcp-orchestration-gateway approve"
        withheld = {
            name: f"its definition has changed since it was first seen: {change}{advice} {listing.server} {name}"
            for name, change in changed.items()
        }
        return replace(
            listing, tools=tuple(tool for tool in listing.tools if tool["name"] not in changed), withheld=withheld
        )


def _is_short(definitions: Sequence[Definition]) -> bool:
    """Whether definitions are small enough to be compared in the event loop."""
    rest = _IN_A_THREAD
    for definition in definitions:
        rest -= len(as_bytes(definition))
        if rest < 0:
            return False
    return True


def _compare_pins(
    before: Pins,
    tools: tuple[Definition, ...],
    others: frozenset[str],
    hidden: bool,  # noqa: FBT001  # run_sync takes no keywords
) -> tuple[Pins, bytes]:
    """Return the updated pins, plain and compressed.

    Pins of tools that are no longer listed are kept, for the case that they return changed.
    """
    after = dict(before)
    for tool in map(read, tools):
        name, hashed, flags = tool["name"], hash_of(tool), scan(tool, others)
        pin = after.get(name)
        if pin is not None and hashed == (pin.pending or hashed) and hashed in (*pin.known, pin.pending):
            after[name] = pin if pin.flags == flags else replace(pin, flags=flags)
        elif pin is not None:
            after[name] = pin.update(hashed, pin_fields(tool, hidden=hidden), flags)
        elif len(after) < MAX_PINS:
            after[name] = Pin((hashed,), pin_fields(tool, hidden=hidden), flags=flags)
    return after, compress_pins(after)
