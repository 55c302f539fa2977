"""A document of configuration that can be edited, and its value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mcp_gateway.config.syntax.markup import looks_like_toml, looks_like_yaml
from mcp_gateway.plugin import ConfigError
from mcp_gateway_cli.editing.errors import EditError
from mcp_gateway_cli.editing.json_syntax import JsonSyntax
from mcp_gateway_cli.editing.syntax import EditPath, Syntax
from mcp_gateway_cli.editing.toml_syntax import TomlSyntax
from mcp_gateway_cli.editing.yaml_syntax import YamlSyntax

_BY_SUFFIX: Mapping[str, Syntax] = {
    ".json": JsonSyntax(),
    ".jsonc": JsonSyntax(),
    ".toml": TomlSyntax(),
    ".yaml": YamlSyntax(),
    ".yml": YamlSyntax(),
}


@dataclass(frozen=True)
class Document:
    """A text with its syntax; each edit returns a new one.

    Each edit is checked: what the new text says must be what was wanted, and nothing else.
    """

    text: str
    syntax: Syntax = field(default_factory=JsonSyntax)
    encoding: str = "utf-8"
    mark: bytes = b""

    @cached_property
    def value(self) -> Any:
        """What the text says.

        Raises:
            ConfigError: it has a mistake; the message has line and column.

        """
        try:
            return self.syntax.parse(self.text)
        except RecursionError:
            raise EditError("it is nested too deeply") from None

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return self.mark + self.text.encode(self.encoding)

    def find_value(self, path: EditPath, default: Any = None) -> Any:
        """Return the value at a path, or `default`."""
        found = self.value
        for key in path:
            if isinstance(key, int):
                if not isinstance(found, list) or not 0 <= key < len(found):
                    return default
            elif not isinstance(found, dict) or key not in found:
                return default
            found = found[key]
        return found

    def set_value(self, path: EditPath, value: Any) -> Document:
        """Return the document with a value set.

        Objects on the way are created. Where there is an object already, only what differs is changed, so that
        comments in it stay.

        Raises:
            EditError: something on the way is no object, or the text cannot be edited so.

        """
        old = self.find_value(path, _MISSING)
        if old is not _MISSING and _equal(old, value):
            return self
        if isinstance(old, dict) and isinstance(value, dict):
            return self._merge(path, old, value)
        depth = next((at for at in range(len(path)) if self.find_value(path[: at + 1]) is None), len(path) - 1)
        for at in range(depth + 1):
            kind = "list" if isinstance(path[at], int) else "object"
            if not isinstance(self.find_value(path[:at]), list if kind == "list" else dict):
                raise EditError(f"{_write_path(path[:at]) or 'the whole'} is no {kind}; edit it by hand")
        return self._edit_one(path[: depth + 1], _nest(path[depth + 1 :], value))

    def _merge(self, path: EditPath, old: dict[str, Any], value: dict[str, Any]) -> Document:
        document = self
        for key, item in value.items():
            document = document.set_value((*path, key), item)
        for key in old.keys() - value.keys():
            document = document.remove_value((*path, key))
        return document

    def remove_value(self, path: EditPath) -> Document:
        """Return the document without a value.

        Raises:
            EditError: there is none, or the text cannot be edited so.

        """
        if self.find_value(path, _MISSING) is _MISSING:
            raise EditError(f"there is no {_write_path(path)}")
        expected = _without(self.value, path)
        return self._check(lambda: self.syntax.remove_value(self.text, path), expected, path)

    def _edit_one(self, path: EditPath, value: Any) -> Document:
        expected = _with(self.value, path, value)
        return self._check(lambda: self.syntax.set_value(self.text, path, value), expected, path)

    def _check(self, edit: Any, expected: Any, path: EditPath) -> Document:
        try:
            edited = replace(self, text=edit())
            is_right = _equal(edited.value, expected)
        except EditError:
            raise
        except (ConfigError, RecursionError, StopIteration):
            is_right = False
        if not is_right:
            raise EditError(f"{_write_path(path)} is written in a way that cannot be edited safely; edit it by hand")
        return edited


_MISSING = object()


def decode_document(content: bytes, path: Path) -> Document:
    """Return the document of a file's bytes, in its syntax.

    Raises:
        EditError: it is neither UTF-8 nor UTF-16.

    """
    mark, encoding = b"", "utf-8"
    for known, name in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if content.startswith(known):
            mark, encoding = known, name
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        raise EditError("it cannot be read: it is not UTF-8; save it as UTF-8") from None
    return Document(text, _find_syntax(text, path), encoding, mark)


def _find_syntax(text: str, path: Path) -> Syntax:
    """Return the syntax by the file's name, or by its look."""
    named = _BY_SUFFIX.get(path.suffix.lower())
    if named is not None and not (named.name == "JSON" and not text.lstrip().startswith(("{", "[", "/"))):
        return named
    if looks_like_toml(text):
        return _BY_SUFFIX[".toml"]
    return _BY_SUFFIX[".yaml"] if looks_like_yaml(text) else named or _BY_SUFFIX[".json"]


def _nest(path: EditPath, value: Any) -> Any:
    for key in reversed(path):
        value = [value] if isinstance(key, int) else {key: value}
    return value


def _with(value: Any, path: EditPath, new: Any) -> Any:
    if not path:
        return new
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        items = [*value, None] if key == len(value) else [*value]
        items[key] = _with(items[key], rest, new)
        return items
    held = value if isinstance(value, dict) else {}
    return {**held, key: _with(held.get(key), rest, new)}


def _without(value: Any, path: EditPath) -> Any:
    key, rest = path[0], path[1:]
    if rest:
        return _with(value, (key,), _without(value[key], rest))
    if isinstance(key, int):
        return [item for at, item in enumerate(value) if at != key]
    return {name: item for name, item in value.items() if name != key}


def _equal(left: Any, right: Any) -> bool:
    """Whether two values are equal, and true is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right) and isinstance(left, bool) is isinstance(right, bool)


def _write_path(path: EditPath) -> str:
    return ".".join(str(key) for key in path)
