"""Hot reload of the server file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.overlays import Overlays
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.config.server_file import ServerFile
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.config.settings import Environment
from mcp_gateway.config.syntax.picture import describe_briefly
from mcp_gateway.discovery.file_watcher import watch_files
from mcp_gateway.discovery.refresher import Refresher
from mcp_gateway.plugin import GatewayError
from mcp_gateway.plugin_host.variable_sources import VariableReader
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.server_plugins import ServerPlugins

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConfigReloader:
    """Reloader that replaces only added, changed and removed servers.

    Calls in progress finish on their old sessions.
    """

    registry: Registry
    server_plugins: ServerPlugins
    pool: Pool
    discovery: Refresher
    personal: Overlays
    tasks: TaskGroup

    def start(self, environment: Environment, reread: Callable[[], ServerFile], servers: ServerFile) -> None:
        """Start following the file of `servers`, if the environment enables that."""
        if environment.config_reload:
            given = environment.server_config, environment.config_reload, reread, servers
            self.tasks.start_soon(self.follow, *given)

    async def follow(self, path: Path, seconds: float, reread: Callable[[], ServerFile], servers: ServerFile) -> None:
        """Poll the server file and those of its variables; apply changes.

        An invalid file is logged and changes nothing. `seconds` is the polling interval. A source that had no value is
        asked again after a client has asked for a server that is disabled.
        """
        following = _FollowedFiles(path, servers.reader)
        self.registry.events.disabled_server_wanted.subscribe(following.want)
        async for digests in watch_files(following.list_files, seconds, following.is_retry_due):
            if digests[path] is None:
                self._refuse(path, "the file cannot be read")
                continue
            try:
                # A source may take its time, which must not hold up the end of the gateway.
                file = await anyio.to_thread.run_sync(reread, abandon_on_cancel=True)
                following.start_anew(file.reader)
                await self.apply(file)
            except GatewayError as error:
                self._refuse(path, describe_briefly(str(error)))

    def _refuse(self, path: Path, reason: str) -> None:
        """Keep what was read before, and say so."""
        self.registry.config_problem = reason
        log.error("configuration reload failed", file=str(path), reason=reason)

    async def apply(self, file: ServerFile) -> None:
        """Apply a server file that was read again.

        Raises:
            GatewayError: a plugin of a new server could not be opened; nothing has changed.

        """
        before = self.registry.specs
        after = {spec.name: _keep_unchanged(before.get(spec.name), spec) for spec in file.specs}
        new = [spec for name, spec in after.items() if before.get(name) is not spec]
        old = [spec for name, spec in before.items() if after.get(name) is not spec]
        self.server_plugins.use(await self.server_plugins.open_servers(new), after)
        self.registry.replace(after, file.disabled, file.notices)
        self.personal.forget_servers([spec.name for spec in old])
        self.personal.admit_again()
        for spec in old:
            self.tasks.start_soon(self._end, spec)
        for spec in new:
            self.discovery.on_server_configured(spec)
        for warning in file.warnings:
            log.warning("configuration warning", reason=warning)
        log.info(
            "configuration reloaded",
            added=[spec.name for spec in new if spec.name not in before],
            changed=[spec.name for spec in new if spec.name in before],
            removed=[spec.name for spec in old if spec.name not in after],
        )

    async def _end(self, spec: ServerSpec) -> None:
        """Close a server's sessions and plugins, once its calls are done."""
        await self.pool.close_server(spec)
        self.server_plugins.close(spec)


@dataclass(slots=True)
class _FollowedFiles:
    """The server file, and what the reader of its variables depends on."""

    path: Path
    reader: VariableReader | None
    is_wanted: bool = False

    def list_files(self) -> list[Path]:
        """Return the files whose content is followed."""
        return [self.path, *(self.reader.files if self.reader else ())]

    def want(self) -> None:
        """Note that a client wants a disabled server."""
        self.is_wanted = True

    def is_retry_due(self) -> bool:
        """Whether a source without an answer should be asked again."""
        if self.reader is None or self.reader.is_complete:
            return False
        return self.reader.sources.take_late_answers() or self.is_wanted

    def start_anew(self, reader: VariableReader | None) -> None:
        """Follow the files of another reading."""
        self.reader, self.is_wanted = reader, False


def _keep_unchanged(old: ServerSpec | None, new: ServerSpec) -> ServerSpec:
    """Return the old specification if nothing has changed.

    Sessions belong to the identity of a specification, so returning the old object keeps them open.
    """
    return old if old is not None and old.digest == new.digest else new
