"""The request of `call_remote_tool`, in every form that models write.

What the tool is called with stays the JSON that it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Raw

from mcp_gateway.protocol.raw_json import Fields, decode_text, encode_object, is_object, members

_NO_ARGUMENTS = Raw(b"{}")
_NULL = b"null"
_STRING = ord('"')

_GATEWAY_MEMBERS = frozenset({"tool_name", "arguments", "auth_header"})
_WRAPPERS = frozenset({"args", "parameters", "input"})
"""Other names of `arguments` that models use."""


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """A call: the gateway's members, and the tool's arguments.

    `arguments` is None if what stands there is no object. `unwrapped` takes its place, unless the tool has a parameter
    of the name `wrapper`.
    """

    gateway_members: Fields
    arguments: Raw | None
    wrapper: str = ""
    unwrapped: Raw | None = None


def read_remote_call(given: Raw) -> RemoteCall:
    """Read the arguments of `call_remote_tool`.

    Null is taken for missing. The tool's arguments are in `arguments`, as an object or as a JSON string of one. If that
    is missing, they are in `args`, `parameters` or `input`, or stand beside `tool_name`.
    """
    fields = {name: value for name, value in members(given).items() if bytes(value) != _NULL}
    if "arguments" in fields:
        return RemoteCall(fields, read_object(fields["arguments"]))
    gateway_members = {name: value for name, value in fields.items() if name in _GATEWAY_MEMBERS}
    flat = {name: value for name, value in fields.items() if name not in _GATEWAY_MEMBERS}
    arguments = Raw(encode_object(flat)) if flat else _NO_ARGUMENTS
    wrapper = next(iter(flat)) if len(flat) == 1 else ""
    unwrapped = read_object(flat[wrapper]) if wrapper in _WRAPPERS else None
    return RemoteCall(gateway_members, arguments, wrapper if unwrapped else "", unwrapped)


def read_object(raw: Raw) -> Raw | None:
    """Return an object; None if it is none.

    It may be in a JSON string.
    """
    if is_object(raw):
        return raw
    text = _text_of(raw).strip()
    if not text:
        return _NO_ARGUMENTS if memoryview(raw)[0] == _STRING else None
    # Outside of its strings JSON may have line breaks, inside it has none, and messages over stdio are lines.
    found = Raw(text.replace("\r", " ").replace("\n", " ").encode(errors="replace"))
    try:
        members(found)
    except ValueError:
        return None
    return found


def _text_of(raw: Raw | None) -> str:
    """Return a string; empty if it is none."""
    if raw is None or memoryview(raw)[0] != _STRING:
        return ""
    try:
        return decode_text(raw)
    except ValueError:
        return ""
