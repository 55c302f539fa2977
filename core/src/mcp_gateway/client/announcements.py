"""Announcements of a server: changed lists, updated resources, acknowledged subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY

from mcp_gateway.plugin import read_own_id
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.raw_json import Fields, decode_members, is_object, members

AnnouncedFn = Callable[[str, Json], None]
"""Callback for change notifications that relate to no request, with method and params."""

LISTS = ("tools", "prompts", "resources")
"""The lists of which servers announce changes."""

_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
_UPDATED = "notifications/resources/updated"
_METHODS = frozenset({_ACKNOWLEDGED, _UPDATED, *(f"notifications/{name}/list_changed" for name in LISTS)})


@dataclass(frozen=True, slots=True)
class Subscription:
    """Callbacks of a modern subscription: acknowledgement and resource updates."""

    acknowledged: Callable[[Json], None]
    updated: Callable[[Json], None]


@dataclass(slots=True, eq=False)
class Announcements:
    """Receiver of the notifications that relate to no client's request.

    `on_announced` is called with those that belong to no subscription. `subscriptions` holds the open
    `subscriptions/listen` requests, by request id.
    """

    on_announced: AnnouncedFn | None = None
    subscriptions: dict[int, Subscription] = field(default_factory=dict)

    def on_notification(self, method: str, fields: Fields) -> bool:
        """Handle an announcement; return whether the notification is one.

        Raises:
            ValueError: it is one, and its params cannot be read.

        """
        if method not in _METHODS:
            return False
        params: Json = decode_members(fields)
        subscription = self._find_subscription(fields)
        if method == _ACKNOWLEDGED:
            honoured = params.get("notifications")
            if subscription is not None:
                subscription.acknowledged(honoured if isinstance(honoured, dict) else {})
        elif method == _UPDATED and subscription is not None:
            subscription.updated(params)
        elif self.on_announced is not None:
            self.on_announced(method, params)
        return True

    def _find_subscription(self, fields: Fields) -> Subscription | None:
        meta = fields.get("_meta")
        if meta is None or not is_object(meta):
            return None
        request_id = read_own_id(bytes(members(meta).get(SUBSCRIPTION_ID_META_KEY, b"")))
        return None if request_id is None else self.subscriptions.get(request_id)
