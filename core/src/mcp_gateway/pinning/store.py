"""Persistence of pins.

They must outlive the gateway and every cache, or a restart would make all definitions new.

A storage backend that several gateways share keeps them, so that the replicas know the same, until nobody has used
them for `KEPT_SECONDS`. Any other one may be gone with the process: then they are files in the user's state folder, not
beside the configuration, which may be read-only, and which is other people's to write.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from mcp_gateway.config.folders import state_folder
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.pinning.pins import Pins, compress_pins, decode_pins, decompress_pins, iter_pin_lines
from mcp_gateway.plugin import LeaseStorage, PubSubStorage, StorageBackend, StorageError, write_file
from mcp_gateway.plugin.utilities.atomic_files import remove_unfinished
from mcp_gateway.storage.resilient import STORAGE_SECONDS, ResilientStorage

PREFIX = "mcp-gateway:1:pins:"
"""Begins every key; the number is the version of the values' form."""

KEPT_SECONDS = 400 * 86400.0
"""How long storage keeps what nobody uses: servers are taken away without a word, yet some are used once a year."""

RENEWED_SECONDS = 86400.0
"""How old pins may be before whoever uses them next has them kept for `KEPT_SECONDS` from then."""


class PinStore(Protocol):
    """Store of pins by name.

    Both methods raise `StorageError` on failure.
    """

    async def load(self, name: str) -> Pins:
        """Return what is kept, nothing if nothing is."""
        ...

    async def save(self, name: str, pins: Pins) -> None:
        """Keep pins in the place of those that were kept."""
        ...


@dataclass(frozen=True, slots=True)
class StoredPins:
    """Pins in a storage backend, compressed, with the time of writing.

    Of many replicas one a day renews the expiry.
    """

    storage: StorageBackend
    resilient: ResilientStorage

    @classmethod
    def of(cls, storage: StorageBackend, resilient: ResilientStorage | None = None) -> StoredPins:
        """Keep pins in a storage, which `resilient` knows to work or not."""
        return cls(storage, resilient or ResilientStorage(storage, probe=STORAGE_SECONDS))

    async def load(self, name: str) -> Pins:
        """Return what is kept, and see that it stays."""
        import anyio.to_thread

        try:
            value = await self.resilient.call(partial(self.storage.get, PREFIX + name))
            written, pins = (time.time(), {}) if value is None else await anyio.to_thread.run_sync(_decode_file, value)
        except ValueError as error:
            raise StorageError(
                f"the value of {PREFIX}{name} cannot be read: {error}; delete it to begin anew"
            ) from None
        if abs(time.time() - written) > RENEWED_SECONDS:
            with suppress(StorageError):  # they were read; the next use tries again
                await self.save(name, pins)
        return pins

    async def save(self, name: str, pins: Pins) -> None:
        """Store pins; they expire `KEPT_SECONDS` after the last use."""
        import anyio.to_thread

        packed = await anyio.to_thread.run_sync(_encode_file, pins)
        await self.resilient.call(partial(self.storage.set, PREFIX + name, packed, ttl=KEPT_SECONDS))


@dataclass(frozen=True, slots=True)
class FiledPins:
    """Pins in files, one a server, each replaced whole."""

    folder: Path

    @property
    def pins(self) -> Path:
        """The folder of their files."""
        return self.folder / "pins"

    async def load(self, name: str) -> Pins:
        """Return what is kept."""
        import anyio.to_thread

        return await anyio.to_thread.run_sync(self.read, name)

    async def save(self, name: str, pins: Pins) -> None:
        """Keep pins."""
        import anyio.to_thread

        await anyio.to_thread.run_sync(self._save, name, pins)

    def read(self, name: str) -> Pins:
        """Return what is kept, at once."""
        path = self._path(name)
        try:
            return decode_pins(path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise StorageError(f"{path} cannot be read: {error}; delete it to begin anew") from None

    def _save(self, name: str, pins: Pins) -> None:
        try:
            write_file(self._path(name), iter_pin_lines(pins))
        except StorageError as error:
            raise StorageError(f"{error}; make room, or set GATEWAY_STATE_DIR") from None

    def _path(self, name: str) -> Path:
        # Windows takes no colon in the name of a file.
        return self.pins / f"{name.replace(':', '-')}.json"


def pin_name(spec: ServerSpec, *, personal: bool) -> str:
    """Return the name under which a server's pins are stored.

    It contains the endpoint's fingerprint, so that an entry with another endpoint has other pins.
    """
    return f"{spec.name}:{spec.fingerprint}{':own' if personal else ''}"


def open_pin_store(storage: StorageBackend, folder: Path | None, resilient: ResilientStorage | None = None) -> PinStore:
    """Return the pin store for a storage backend.

    Pins go into a backend that gateways share, else into files in `folder` (`GATEWAY_STATE_DIR`).
    """
    # What can lend or announce is shared by replicas; a backend without both may end with the process.
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


def _encode_file(pins: Pins) -> bytes:
    return b"%d\n" % time.time() + compress_pins(pins)


def _decode_file(value: bytes) -> tuple[float, Pins]:
    """Decode a stored value into time of writing and pins.

    Raises `ValueError` if it has another form.
    """
    written, _, body = value.partition(b"\n")
    return float(written), decompress_pins(body)
