"""Edits of JSON, with comments and trailing commas."""

from __future__ import annotations

from typing import Any

from mcp_gateway.config.syntax.json_text import parse_json
from mcp_gateway_cli.editing.json_style import JsonStyle, find_style, is_inline
from mcp_gateway_cli.editing.json_tree import TOKEN, Member, Node, find_node, read_tree
from mcp_gateway_cli.editing.syntax import (
    EditPath,
    Splice,
    apply_splices,
    indentation_at,
    line_end,
    line_start,
    previous_line_end,
)


class JsonSyntax:
    """JSON as editors write it."""

    name = "JSON"

    def parse(self, text: str) -> Any:
        """Return the value of a text, by default an object."""
        return parse_json(text)[0] if text.strip() else {}

    def set_value(self, text: str, path: EditPath, value: Any) -> str:
        """Return the text with a value added or replaced."""
        if not text.strip():
            return JsonStyle().write({path[-1]: value}, "") + "\n"
        tree = read_tree(text)
        style, node = find_style(text, tree), find_node(tree, path[:-1])
        member = node.find(path[-1])
        if member is not None:
            return apply_splices(text, [_replace(text, style, member.node, value)])
        return apply_splices(text, _insert(text, style, node, path[-1], value))

    def remove_value(self, text: str, path: EditPath) -> str:
        """Return the text without a member."""
        tree = read_tree(text)
        node = find_node(tree, path[:-1])
        find_node(node, path[-1:])
        if isinstance(path[-1], int):
            return apply_splices(text, _remove(text, node, path[-1]))
        # A key that stands twice goes with all of its values.
        places = [at for at, member in enumerate(node.members) if member.key == path[-1]]
        for place in reversed(places):
            node = find_node(read_tree(text), path[:-1])
            text = apply_splices(text, _remove(text, node, place))
        return text


def _replace(text: str, style: JsonStyle, old: Node, value: Any) -> Splice:
    inline = not style.is_multiline or (bool(old.members) and is_inline(text, old))
    return Splice(old.start, old.end, style.write(value, indentation_at(text, old.start), inline=inline))


def _insert(text: str, style: JsonStyle, node: Node, key: str | int, value: Any) -> list[Splice]:
    prefix = style.write_key(key) if isinstance(key, str) else ""
    if not node.members:
        return [_insert_first(text, style, node, prefix, value)]
    last = node.members[-1]
    has_comma = node.comma >= 0
    end = node.comma + 1 if has_comma else last.node.end
    if not _begins_line(text, last.start):
        return [_insert_inline(style, node, f"{prefix}{style.write(value, '', inline=True)}")]
    indentation = indentation_at(text, last.start)
    written = style.write(value, indentation, inline=_has_inline_siblings(text, node, value))
    place = _end_of_line_comment(text, end)
    added = Splice(place, place, f"{style.newline}{indentation}{prefix}{written}{',' if has_comma else ''}")
    if has_comma:
        return [added]
    # One splice where both are at one place, so that their order is clear.
    return [Splice(end, place, f",{text[end:place]}{added.text}")]


def _insert_inline(style: JsonStyle, node: Node, written: str) -> Splice:
    end = node.members[-1].node.end
    if node.comma >= 0:
        return Splice(node.comma + 1, node.comma + 1, f"{style.comma[1:]}{written},")
    return Splice(end, end, f"{style.comma}{written}")


def _insert_first(text: str, style: JsonStyle, node: Node, prefix: str, value: Any) -> Splice:
    inside = text[node.start + 1 : node.end - 1]
    if not style.is_multiline and not inside.strip():
        return Splice(node.start + 1, node.end - 1, f"{prefix}{style.write(value, '', inline=True)}")
    outer = indentation_at(text, node.start)
    inner = outer + style.unit
    written = f"{style.newline}{inner}{prefix}{style.write(value, inner)}"
    kept = node.start + 1 + len(inside.rstrip())
    return Splice(kept, node.end - 1, f"{written}{style.newline}{outer}")


def _remove(text: str, node: Node, place: int) -> list[Splice]:
    member = node.members[place]
    is_last = place == len(node.members) - 1
    if len(node.members) == 1 and not text[node.start + 1 : member.start].strip():
        end = node.comma + 1 if node.comma >= 0 else member.node.end
        if not text[end : node.end - 1].strip():
            return [Splice(node.start + 1, node.end - 1)]
    comma = node.comma if is_last else _find_comma(text, member.node.end)
    end = comma + 1 if comma >= 0 else member.node.end
    splices = [_remove_span(text, node, member, end, is_last=is_last)]
    if is_last and place > 0 and node.comma < 0:
        before = _find_comma(text, node.members[place - 1].node.end)
        splices = _join(splices[0], Splice(before, before + 1))
    return splices


def _join(span: Splice, comma: Splice) -> list[Splice]:
    return [Splice(comma.start, span.end)] if comma.end >= span.start else [comma, span]


def _remove_span(text: str, node: Node, member: Member, end: int, *, is_last: bool) -> Splice:
    """Return the span of a member, if possible its lines."""
    after = _end_of_line_comment(text, end)
    if _begins_line(text, member.start) and not text[after : line_end(text, after)].strip():
        return Splice(previous_line_end(text, member.start), line_end(text, after))
    if is_last:
        before = text[: member.start]
        kept = len(before.rstrip(" \t")) if len(node.members) > 1 else member.start
        return Splice(kept, end)
    spaces = len(text[end:]) - len(text[end:].lstrip(" \t"))
    return Splice(member.start, end + spaces)


def _begins_line(text: str, position: int) -> bool:
    start = line_start(text, position)
    return start > 0 and not text[start:position].strip()


def _end_of_line_comment(text: str, position: int) -> int:
    """Return the end of the comment behind a value."""
    end = line_end(text, position)
    found = TOKEN.search(text, position)
    if found is not None and found.start() < end and found[0].startswith(("//", "/*")):
        inside = found.end() <= end + 1
        behind = text[min(found.end(), end) : end]
        return min(found.end(), end) if inside and not behind.strip() else position
    return position


def _find_comma(text: str, position: int) -> int:
    for token in TOKEN.finditer(text, position):
        if not token[0].startswith(("//", "/*")):
            return token.start() if token[0] == "," else -1
    return -1


def _has_inline_siblings(text: str, node: Node, value: Any) -> bool:
    """Whether the members before are objects that stand in one line each."""
    nested = [member.node for member in node.members if member.node.kind and member.node.members]
    return isinstance(value, dict) and bool(nested) and all(is_inline(text, other) for other in nested)
