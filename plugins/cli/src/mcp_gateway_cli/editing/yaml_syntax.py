"""Edits of YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcp_gateway.config.syntax.markup import parse_yaml
from mcp_gateway_cli.editing.errors import EditError
from mcp_gateway_cli.editing.syntax import (
    EditPath,
    Splice,
    apply_splices,
    find_newline,
    line_end,
    line_start,
    previous_line_end,
)

if TYPE_CHECKING:
    import yaml


class YamlSyntax:
    """YAML; the text is edited, so that nothing is written anew."""

    name = "YAML"

    def parse(self, text: str) -> Any:
        """Return the value of a text, by default an object."""
        value = parse_yaml(text)[0]
        return {} if value is None else value

    def set_value(self, text: str, path: EditPath, value: Any) -> str:
        """Return the text with a value added or replaced."""
        tree = _compose(text)
        if tree is None:
            return _append_line(text, "\n".join(write_block({path[-1]: value}, "")))
        node = _find_node(text, tree, path[:-1])
        pair = _find_pair(node, path[-1])
        if pair is not None:
            return apply_splices(text, [_replace(text, node, pair, value)])
        return apply_splices(text, [_insert(text, tree, path, value)])

    def remove_value(self, text: str, path: EditPath) -> str:
        """Return the text without a member."""
        tree = _compose(text)
        node = _find_node(text, tree, path[:-1]) if tree is not None else None
        pair = _find_pair(node, path[-1]) if node is not None else None
        if node is None or pair is None:
            raise EditError(f"it has no {path[-1]!r} of its own")
        return apply_splices(text, [_remove(text, node, pair)])


Pair = tuple["yaml.Node", "yaml.Node"]
"""The node of a key, or of a list's item, and that of the value."""


def _compose(text: str) -> yaml.Node | None:
    import yaml

    return yaml.compose(text, Loader=yaml.SafeLoader)


def _pairs(node: yaml.Node) -> list[Pair]:
    if node.id == "mapping":
        return list(node.value)
    return [(item, item) for item in node.value] if node.id == "sequence" else []


def _find_pair(node: yaml.Node, key: str | int) -> Pair | None:
    pairs = _pairs(node)
    if isinstance(key, int):
        return pairs[key] if node.id == "sequence" and key < len(pairs) else None
    return next((pair for pair in reversed(pairs) if node.id == "mapping" and pair[0].value == key), None)


def _find_node(text: str, tree: yaml.Node, path: EditPath) -> yaml.Node:
    node = tree
    for key in path:
        pair = _find_pair(node, key)
        if pair is None:
            raise EditError(f"it has no {key!r} of its own")
        if pair[1].start_mark.index < pair[0].start_mark.index:
            raise EditError(f"{key!r} is an alias (*) of what stands elsewhere; edit it by hand")
        node = pair[1]
    del text
    return node


def _end_of(text: str, node: yaml.Node) -> int:
    """Return where a node really ends, without what only follows it."""
    start: int = node.start_mark.index
    end: int = node.end_mark.index
    if node.id != "scalar" and not node.flow_style:
        inside = [_end_of(text, value) for _, value in _pairs(node) if value.start_mark.index >= start]
        return max(inside, default=end)
    return start + len(text[start:end].rstrip())


def _insert(text: str, tree: yaml.Node, path: EditPath, value: Any) -> Splice:
    node = _find_node(text, tree, path[:-1])
    pairs = _pairs(node)
    key = path[-1]
    if not pairs:
        return _insert_first(text, tree, path, value)
    end = _end_of(text, node)
    if node.flow_style:
        last = _end_of(text, pairs[-1][1])
        prefix = f"{_write_scalar(key)}: " if isinstance(key, str) else ""
        return Splice(last, last, f", {prefix}{_write_flow(value)}")
    place = line_end(text, end)
    first = pairs[0][0].start_mark
    column = first.column if node.id == "mapping" else node.start_mark.column
    lines = write_block({key: value} if isinstance(key, str) else [value], " " * column)
    newline = find_newline(text)
    return Splice(place, place, "".join(f"{newline}{line}" for line in lines))


def _insert_first(text: str, tree: yaml.Node, path: EditPath, value: Any) -> Splice:
    """Fill an object that is empty: `key: {}`, or only `key:`."""
    key, node = path[-1], _find_node(text, tree, path[:-1])
    content = {key: value} if isinstance(key, str) else [value]
    newline = find_newline(text)
    start, end = node.start_mark.index, _end_of(text, node)
    if len(path) == 1:
        return Splice(start, end, newline.join(write_block(content, "")))
    parent = _find_node(text, tree, path[:-2])
    if parent.flow_style:
        return Splice(start, end, _write_flow(content))
    owner = _find_pair(parent, path[-2])
    column = owner[0].start_mark.column if owner else 0
    if start == end and owner:  # the mark of nothing at all may stand lines below
        start = end = owner[0].end_mark.index + 1
    lines = write_block(content, " " * (column + _unit(tree)))
    begin = start - (1 if text[start - 1 : start] == " " else 0)
    rest = text[end : line_end(text, end)]
    block = "".join(f"{newline}{line}" for line in lines)
    return Splice(begin, line_end(text, end), f"{rest if rest.strip() else ''}{block}")


def _unit(tree: yaml.Node) -> int:
    """Return by how many columns a mapping in a mapping is indented."""
    for key, value in _pairs(tree):
        pairs = _pairs(value)
        if value.id == "mapping" and not value.flow_style and pairs and key is not value:
            return max(int(pairs[0][0].start_mark.column - key.start_mark.column), 1)
    return 2


def _replace(text: str, node: yaml.Node, pair: Pair, value: Any) -> Splice:
    key, old = pair
    start, end = old.start_mark.index, _end_of(text, old)
    if start < key.start_mark.index:
        raise EditError("it is an alias (*) of what stands elsewhere; edit it by hand")
    is_block = bool(old.id != "scalar" and not old.flow_style)
    if node.flow_style or not is_block:
        space = " " if text[start - 1 : start] == ":" else ""
        if not node.flow_style and isinstance(value, Mapping) and value and key is not old:
            return _replace_by_block(text, key, start, end, value)
        return Splice(start, end, space + _write_flow(value))
    if isinstance(value, Mapping | list) and value and key is not old:
        return _replace_by_block(text, key, start, end, value)
    begin = key.end_mark.index + 1 if key is not old else start
    return Splice(begin, end, f"{' ' if key is not old else ''}{_write_flow(value)}")


def _replace_by_block(text: str, key: yaml.Node, start: int, end: int, value: Any) -> Splice:
    lines = write_block(value, " " * (key.start_mark.column + 2))
    newline = find_newline(text)
    begin = key.end_mark.index + 1
    end = begin if start == end else end
    stop = line_end(text, end)
    rest = text[end:stop] if "\n" not in text[begin:start] else ""
    return Splice(begin, stop if rest else end, rest.rstrip() + "".join(f"{newline}{line}" for line in lines))


def _remove(text: str, node: yaml.Node, pair: Pair) -> Splice:
    key, value = pair
    start, end = key.start_mark.index, _end_of(text, value)
    if key is not value:  # the mark of an empty value may stand elsewhere
        end = (
            max(end, key.end_mark.index + 1) if value.value or value.id != "scalar" else _end_of_empty(text, key, value)
        )
    if value.start_mark.index < key.start_mark.index:
        end = line_end(text, start) if not node.flow_style else end
    pairs = _pairs(node)
    place = pairs.index(pair)
    if node.flow_style:
        if place:
            return Splice(_end_of(text, pairs[place - 1][1]), end)
        return Splice(start, pairs[1][0].start_mark.index if len(pairs) > 1 else end)
    if len(pairs) == 1:
        begin = len(text[: node.start_mark.index].rstrip(" \t\r\n"))
        empty = "{}" if node.id == "mapping" else "[]"
        return Splice(begin, end, f" {empty}" if begin else empty)
    first = line_start(text, start)
    if text[first:start].strip(" ") not in ({""} if key is not value else {"-"}):
        # The first key of an item stands behind its dash.
        return Splice(start, pairs[1][0].start_mark.index)
    if first == 0:
        return Splice(0, min(len(text), line_end(text, end) + len(find_newline(text))))
    return Splice(previous_line_end(text, start), line_end(text, end))


def _end_of_empty(text: str, key: yaml.Node, value: yaml.Node) -> int:
    """Return the end of an empty text."""
    return _end_of(text, value) if value.style else key.end_mark.index + 1


def _append_line(text: str, written: str) -> str:
    newline = find_newline(text)
    begin = newline if text and not text.endswith("\n") else ""
    return f"{text}{begin}{written.replace(chr(10), newline)}{newline}"


def write_block(value: Any, indentation: str) -> list[str]:
    """Write an object or a list as lines."""
    lines: list[str] = []
    if isinstance(value, Mapping):
        for key, item in value.items():
            head = f"{indentation}{_write_scalar(str(key))}:"
            if (isinstance(item, Mapping) and item) or (
                isinstance(item, list) and any(isinstance(each, Mapping | list) for each in item)
            ):
                lines += [head, *write_block(item, f"{indentation}  ")]
            else:
                lines.append(f"{head} {_write_flow(item)}")
        return lines
    for item in value:
        if isinstance(item, Mapping) and item:
            inner = write_block(item, f"{indentation}  ")
            lines += [f"{indentation}- {inner[0].lstrip(' ')}", *inner[1:]]
        else:
            lines.append(f"{indentation}- {_write_flow(item)}")
    return lines


def _write_flow(value: Any) -> str:
    """Write a value in one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_write_scalar(str(key))}: {_write_flow(item)}" for key, item in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(_quote(item) if isinstance(item, str) else _write_flow(item) for item in value)}]"
    return _write_scalar(value)


def _write_scalar(value: Any) -> str:
    """Write a scalar, plain if that can mean nothing else."""
    import yaml

    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value and value.isascii() and set(value).isdisjoint(" \t\n#:,[]{}&*!|>'\"%@`=?") and not value.startswith("-"):
        loaded = yaml.safe_load(value)
        if loaded == value and isinstance(loaded, str):
            return value
    is_plain_url = value.startswith(("http://", "https://")) and not set(value) & set(" \t\n#,[]{}'\"")
    if is_plain_url and value.isascii() and not value.endswith(":"):
        return value
    return _quote(value)


def _quote(value: str) -> str:
    """Write a text in double quotes, with escapes."""
    written = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else _escape(ord(each)) for each in written)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
