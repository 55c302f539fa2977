"""Persistence of pins.

Pins must outlive the gateway and every cache, or after a restart all definitions would count as new.

A storage backend that replicas share keeps them until they have not been used for `KEPT_SECONDS`. Any other backend
may end with the process, so pins are then stored as files in the user's state folder. They are not stored beside the
configuration, which may be read-only and may be writable for others.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.config.sources import state_folder
from mcp_gateway.pinning.pins import Pins, compress_pins, decode_pins, decompress_pins, iter_pin_lines
from mcp_gateway.plugin import LeaseStorage, PubSubStorage, StorageBackend, StorageError, write_file
from mcp_gateway.plugin.utilities.atomic_files import remove_unfinished
from mcp_gateway.storage.resilient import STORAGE_SECONDS, ResilientStorage

PREFIX = "mcp-gateway:1:pins:"
"""The prefix of every key; the number is the version of the format."""

KEPT_SECONDS = 400 * 86400.0
"""How long storage keeps unused pins: removals are not announced, and some servers are used only once a year."""

RENEWED_SECONDS = 86400.0
"""After how long a use of the pins renews their expiry; renewing at each use would cost a write each."""


class PinStore(Protocol):
    """Store of pins by name.

    Both methods raise `StorageError` on failure.
    """

    async def load(self, name: str) -> Pins:
        """Return the stored pins, empty if there are none."""
        ...

    async def save(self, name: str, pins: Pins) -> None:
        """Store pins, replacing the previous ones."""
        ...


@dataclass(frozen=True, slots=True)
class StoredPins:
    """Pins in a storage backend, compressed, with the time of writing.

    The expiry is renewed once a day, by one of the replicas.
    """

    storage: StorageBackend
    resilient: ResilientStorage

    @classmethod
    def of(cls, storage: StorageBackend, resilient: ResilientStorage | None = None) -> StoredPins:
        """Create a store; `resilient` is the storage's shared wrapper, if any."""
        return cls(storage, resilient or ResilientStorage(storage, probe=STORAGE_SECONDS))

    async def load(self, name: str) -> Pins:
        """Return the stored pins, renewing their expiry if due."""
        import anyio.to_thread

        try:
            value = await self.resilient.call(partial(self.storage.get, PREFIX + name))
            written, pins = (time.time(), {}) if value is None else await anyio.to_thread.run_sync(_decode_file, value)
        except ValueError as error:
            raise StorageError(
                f"the value of {PREFIX}{name} cannot be read: {error}; delete it to start over"
            ) from None
        if abs(time.time() - written) > RENEWED_SECONDS:
            with suppress(StorageError):  # reading worked; the next use tries again to renew them
                await self.save(name, pins)
        return pins

    async def save(self, name: str, pins: Pins) -> None:
        """Store pins; they expire `KEPT_SECONDS` after the last use."""
        import anyio.to_thread

        packed = await anyio.to_thread.run_sync(_encode_file, pins)
        await self.resilient.call(partial(self.storage.set, PREFIX + name, packed, ttl=KEPT_SECONDS))


@dataclass(frozen=True, slots=True)
class FiledPins:
    """Pins in files, one per server, each replaced atomically."""

    folder: Path

    @property
    def pins(self) -> Path:
        """The folder of the files."""
        return self.folder / "pins"

    async def load(self, name: str) -> Pins:
        """Return the stored pins, in a thread."""
        import anyio.to_thread

        return await anyio.to_thread.run_sync(self.read, name)

    async def save(self, name: str, pins: Pins) -> None:
        """Store pins, in a thread."""
        import anyio.to_thread

        await anyio.to_thread.run_sync(self._save, name, pins)

    def read(self, name: str) -> Pins:
        """Return the stored pins, blocking."""
        path = self._path(name)
        try:
            return decode_pins(path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise StorageError(f"{path} cannot be read: {error}; delete it to start over") from None

    def _save(self, name: str, pins: Pins) -> None:
        try:
            write_file(self._path(name), iter_pin_lines(pins))
        except StorageError as error:
            raise StorageError(f"{error}; make room, or set GATEWAY_STATE_DIR") from None

    def _path(self, name: str) -> Path:
        # Windows allows no colon in file names.
        return self.pins / f"{name.replace(':', '-')}.json"


def pin_name(spec: ServerSpec, *, personal: bool) -> str:
    """Return the name under which a server's pins are stored.

    It contains the endpoint's fingerprint, so that another endpoint under the same name has separate pins.
    """
    return f"{spec.name}:{spec.fingerprint}{':own' if personal else ''}"


def open_pin_store(storage: StorageBackend, folder: Path | None, resilient: ResilientStorage | None = None) -> PinStore:
    """Return the pin store for a storage backend.

    Pins go into a backend that replicas share, else into files in `folder` (`GATEWAY_STATE_DIR`).
    """
    # Leases or publish/subscribe mean that replicas share the backend; without both it may end with the process.
    if isinstance(storage, LeaseStorage | PubSubStorage):
        return StoredPins.of(storage, resilient)
    shelf = FiledPins(folder or state_folder())
    remove_unfinished(shelf.pins)
    return shelf


def read_pin_file(spec: ServerSpec, folder: Path | None) -> Pins:
    """Return a server's pins from files; none if unreadable."""
    found: Pins = {}
    for personal in (True, False):
        with suppress(StorageError):
            found |= FiledPins(folder or state_folder()).read(pin_name(spec, personal=personal))
    return found


def list_pinned_tools(server: str, folder: Path | None) -> list[str]:
    """Return the names of tools in a server's newest file of pins.

    Where the server is reached does not matter, so that its entry need not be resolved.
    """
    shelf = FiledPins(folder or state_folder())
    of_server = re.compile(rf"{re.escape(server)}-[0-9a-f]+(-own)?")
    paths = [path for path in shelf.pins.glob("*.json") if of_server.fullmatch(path.stem)]
    newest = max(paths, key=lambda path: path.stat().st_mtime, default=None)
    return [] if newest is None else list(decode_pins(newest.read_bytes()))


def _encode_file(pins: Pins) -> bytes:
    return b"%d\n" % time.time() + compress_pins(pins)


def _decode_file(value: bytes) -> tuple[float, Pins]:
    """Decode a stored value into time of writing and pins.

    Raises `ValueError` if the value has another form.
    """
    written, _, body = value.partition(b"\n")
    return float(written), decompress_pins(body)
