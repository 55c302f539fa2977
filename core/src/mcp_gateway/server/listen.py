"""Handler of `subscriptions/listen`: the notification stream of modern clients."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY

from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.plugin import Caller
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.server.clients import Context, caller_of, send_beside
from mcp_gateway.server.prompts_resources import PromptsAndResources

log = structlog.get_logger(__name__)

MAX_STREAMS = 1024
"""How many streams may be open."""

MAX_BEHIND = 1024
"""How many undelivered notifications end a stream; its client then subscribes again and refreshes its lists."""

DeliverFn = Callable[[str, Json], None]


@dataclass(slots=True)
class ListenStreams:
    """The open notification streams.

    Each message carries the id of the request that opened its stream.
    """

    gateway: Gateway
    content: PromptsAndResources
    _streams: dict[str, tuple[types.SubscriptionFilter, DeliverFn, str]] = field(default_factory=dict)

    async def __call__(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Acknowledge the subscription, then stream notifications.

        The stream ends when the client leaves.
        """
        if len(self._streams) >= MAX_STREAMS:
            raise MCPError(types.INTERNAL_ERROR, f"{MAX_STREAMS} clients are listening already; try again later")
        wanted, name = params.notifications, uuid.uuid4().hex
        marked = {SUBSCRIPTION_ID_META_KEY: context.request_id}
        send, receive = anyio.create_memory_object_stream[tuple[str, Json]](MAX_BEHIND)

        def deliver(method: str, content: Json) -> None:
            try:
                send.send_nowait((method, content))
            except anyio.WouldBlock:
                log.warning("listen stream closed", reason="the client reads too slowly")
                self._streams.pop(name, None)
                send.close()
            # The stream has ended meanwhile.
            except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                pass

        caller = caller_of(context)
        self._streams[name] = (wanted, deliver, str(caller.client))
        try:
            with send, receive:
                honoured = await self._subscribe_resources(name, wanted, caller, deliver)
                acknowledgement = {"notifications": honoured, "_meta": marked}
                await send_beside(context, "notifications/subscriptions/acknowledged", acknowledgement)
                async for method, content in receive:
                    await send_beside(context, method, {**content, "_meta": {**content.get("_meta", {}), **marked}})
        finally:
            self._streams.pop(name, None)
            self.gateway.subscriptions.forget(name)
        return types.SubscriptionsListenResult(_meta=marked)

    def announce(self, name: str, clients: frozenset[str] | None = None) -> None:
        """Send `list_changed` to subscribed streams.

        `name` is, for example, "tools". It is sent to all streams, or to those of `clients`.
        """
        for wanted, deliver, client in list(self._streams.values()):
            if getattr(wanted, f"{name}_list_changed") and (clients is None or client in clients):
                deliver(f"notifications/{name}/list_changed", {})

    async def _subscribe_resources(
        self, name: str, wanted: types.SubscriptionFilter, caller: Caller, deliver: DeliverFn
    ) -> Json:
        """Subscribe to the requested resources; return the granted filter."""

        async def on_updated(content: Json) -> None:
            deliver("notifications/resources/updated", content)

        granted: list[str] = []
        for uri in dict.fromkeys(wanted.resource_subscriptions or ()):
            try:
                await self.content.subscribe(name, uri, caller, on_updated)
            except MCPError as error:
                log.info("resource subscription failed", uri=uri, reason=error.error.message)
            else:
                granted.append(uri)
        lists = wanted.model_dump(by_alias=True, exclude_none=True, exclude={"resource_subscriptions"})
        honoured = {flag: True for flag, value in lists.items() if value is True}
        return {**honoured, "resourceSubscriptions": granted} if granted else honoured
