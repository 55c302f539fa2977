"""How servers were last reached, kept over restarts of the gateway.

It is what the next connection tries first, never more: a server that is reached otherwise is found out again.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio.to_thread
import structlog

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import StorageError, write_file

log = structlog.get_logger(__name__)

FOLDER = "connections"
"""The folder in the state folder, with a file for each server that is not reached in the usual way."""

KEPT_SECONDS = 7 * 86400.0
"""After how long the usual way is tried again: a server may speak the newer protocol beside the old one by then."""


@dataclass(frozen=True, slots=True)
class LastConnection:
    """How a server was last reached; without values in the usual way.

    * `transport`: the name of the fallback that reached it.
    * `initialize_first`: it ends if `server/discover` is its first message.
    * `since`: when that was found out, in seconds since the epoch.
    """

    transport: str = ""
    initialize_first: bool = False
    since: float = field(default=0.0, compare=False)


_USUAL = LastConnection()


@dataclass(slots=True)
class LastConnections:
    """The last connections with all servers; without `folder` in memory only."""

    folder: Path | None = None
    _known: dict[str, LastConnection] = field(default_factory=dict)
    _unsaved: set[str] = field(default_factory=set)

    @classmethod
    def load(cls, state: Path) -> LastConnections:
        """Read the files in the state folder; skip unreadable ones."""
        folder = state / FOLDER
        known: dict[str, LastConnection] = {}
        with suppress(OSError):
            for path in folder.glob("*.json"):
                if (last := _read_file(path)) is not None:
                    known[path.stem] = last
        return cls(folder, known)

    def find(self, spec: ServerSpec) -> LastConnection:
        """Return how a server was last reached.

        After `KEPT_SECONDS` that is the usual way again.
        """
        last = self._known.get(_key(spec), _USUAL)
        return _USUAL if abs(time.time() - last.since) > KEPT_SECONDS else last

    def record(self, spec: ServerSpec, *, transport: str | None = None, initialize_first: bool | None = None) -> bool:
        """Record how a server was reached; return whether to save it.

        None is what is not known.
        """
        key, before = _key(spec), self.find(spec)
        now = replace(
            before,
            transport=before.transport if transport is None else transport,
            initialize_first=before.initialize_first if initialize_first is None else initialize_first,
        )
        if now != before or (now == _USUAL and key in self._known):
            self._unsaved.add(key)
            self._known[key] = replace(now, since=time.time())
        return key in self._unsaved

    async def save(self, spec: ServerSpec) -> None:
        """Write what is unsaved of a server; a failure is logged."""
        key = _key(spec)
        self._unsaved.discard(key)
        last = self._known.get(key)
        if last == _USUAL:
            last = None
            del self._known[key]
        if self.folder is None:
            return
        try:
            await anyio.to_thread.run_sync(_write_file, self.folder / f"{key}.json", last)
        except (OSError, StorageError) as error:
            log.warning("last connection not kept", server=spec.name, reason=str(error))


def _key(spec: ServerSpec) -> str:
    return sha256(f"{spec.name}:{spec.fingerprint}".encode()).hexdigest()[:32]


def _read_file(path: Path) -> LastConnection | None:
    try:
        kept: Any = json.loads(path.read_bytes())
        transport, initialize_first, since = kept["transport"], kept["initialize_first"], float(kept["since"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    if not isinstance(transport, str) or not isinstance(initialize_first, bool):
        return None
    return LastConnection(transport, initialize_first, since)


def _write_file(path: Path, last: LastConnection | None) -> None:
    """Write how a server is reached; without that remove it."""
    if last is None:
        path.unlink(missing_ok=True)
        return
    kept = {"transport": last.transport, "initialize_first": last.initialize_first, "since": last.since}
    write_file(path, [json.dumps(kept).encode()])
