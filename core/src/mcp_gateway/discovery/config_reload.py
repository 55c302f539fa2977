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
from mcp_gateway.discovery.file_watcher import watch_file
from mcp_gateway.discovery.refresher import Refresher
from mcp_gateway.plugin import GatewayError
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

    def start(self, environment: Environment, reread: Callable[[], ServerFile]) -> None:
        """Start watching the server file, if the environment enables that."""
        if environment.config_reload:
            self.tasks.start_soon(self.follow, environment.server_config, environment.config_reload, reread)

    async def follow(self, path: Path, seconds: float, reread: Callable[[], ServerFile]) -> None:
        """Poll the server file and apply valid changes.

        An invalid file is logged and changes nothing. `seconds` is the polling interval.
        """
        async for is_there in watch_file(path, seconds):
            if not is_there:
                log.error("configuration reload failed", file=str(path), reason="the file cannot be read")
                continue
            try:
                await self.apply(await anyio.to_thread.run_sync(reread))
            except GatewayError as error:
                log.error("configuration reload failed", file=str(path), reason=str(error))  # noqa: TRY400  # the words say it all

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


def _keep_unchanged(old: ServerSpec | None, new: ServerSpec) -> ServerSpec:
    """Return the old specification if nothing has changed.

    Sessions belong to the identity of a specification, so returning the old object keeps them open.
    """
    return old if old is not None and old.digest == new.digest else new
