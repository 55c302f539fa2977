"""The shape of requests, checked without a model.

What does not fit goes to the SDK's server, which says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mcp.shared.inbound import NAME_BEARING_METHODS

from mcp_gateway.protocol.raw_json import Fields, decode_text

_TEXT, _OBJECT = ord('"'), ord("{")
_LIST: Mapping[str, tuple[int, bool]] = {"cursor": (_TEXT, False)}

_MEMBERS: Mapping[str, Mapping[str, tuple[int, bool]]] = MappingProxyType(
    {
        "tools/list": _LIST,
        "prompts/list": _LIST,
        "resources/list": _LIST,
        "resources/templates/list": _LIST,
        "tools/call": {"name": (_TEXT, True), "arguments": (_OBJECT, False), "requestState": (_TEXT, False)},
        "prompts/get": {"name": (_TEXT, True), "arguments": (_OBJECT, False), "requestState": (_TEXT, False)},
        "resources/read": {"uri": (_TEXT, True), "requestState": (_TEXT, False)},
        "completion/complete": {"ref": (_OBJECT, True), "argument": (_OBJECT, True), "context": (_OBJECT, False)},
    }
)
"""By method, what begins a member of the params, and whether it must be there."""


def has_valid_shape(method: str, params: Fields) -> bool:
    """Whether the params of a request have the members its method needs."""
    for name, (begin, is_required) in _MEMBERS.get(method, {}).items():
        raw = params.get(name)
        if raw is None:
            if is_required:
                return False
        elif memoryview(raw)[0] != begin:
            return False
    return True


def name_of(method: str, params: Fields) -> str | None:
    """Return what a modern request repeats in its `Mcp-Name` header."""
    raw = params.get("taskId" if method.startswith("tasks/") else NAME_BEARING_METHODS.get(method, ""))
    return None if raw is None else decode_text(raw)
