"""TOML and YAML, with mistakes that are explained."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from mcp_gateway.config.syntax.picture import describe_place, describe_repeated
from mcp_gateway.plugin import ConfigError

if TYPE_CHECKING:
    import yaml

_TOML_PLACE = re.compile(
    r"(?P<words>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)
_TOML = re.compile(r"^\s*(\[\[?[\w.\"' -]+\]?\]|[\w.\"-]+\s*=\s*\S.*)\s*(#.*)?$")
_YAML = re.compile(r"^(---\s*$|[\w.\"' -]+:(\s|$)|- )")

_TOML_KEY = re.compile(r"\s*(?P<key>\[[^\]#]+\]|[^=\[\]#]+?)\s*(=|#|$)")
_TOML_WORDS = {"Invalid value": "this is no value; text stands in double quotes"}
_MAX_REPEATED = 100
_STRANGE_TEXTS = (
    (r"<", "XML or HTML"),
    (r"(export\s+)?[A-Z][A-Z0-9_]*=\S", "a file of variables (GATEWAY_ENV_FILE names one)"),
    (r"(npx|uvx|docker|claude|codex|gemini|code)\s+\S", "a command for a terminal"),
    (r"(import|export default|module\.exports|const)\b", "JavaScript"),
)
"""What the first line of a text may show it to be."""

MAX_NODES = 100_000
"""How many values a YAML document may have, each alias counted as often as it is used."""

INSTALL_YAML = "YAML is read with pyyaml: pip install pyyaml"


def describe_strange_text(text: str) -> str:
    """Describe a text that can have none of the syntaxes."""
    first = _first_line(text).lstrip()
    return next((what for pattern, what in _STRANGE_TEXTS if re.match(pattern, first)), "")


def looks_like_toml(text: str) -> bool:
    """Whether the first line that says anything is TOML."""
    return _TOML.match(_first_line(text)) is not None


def looks_like_yaml(text: str) -> bool:
    """Whether the first line that says anything is YAML."""
    return _YAML.match(_first_line(text)) is not None


def _first_line(text: str) -> str:
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return next(lines, "")


def parse_toml(text: str) -> tuple[Any, list[str]]:
    """Parse TOML; return it with warnings.

    Of a table or key that stands twice the last one counts, as in the other syntaxes.

    Raises:
        ConfigError: it is not TOML; the message has line, column and a picture.

    """
    warnings: list[str] = []
    lines = text.split("\n")
    for _ in range(_MAX_REPEATED):
        try:
            return tomllib.loads("\n".join(lines)), warnings
        except tomllib.TOMLDecodeError as error:
            if not _drop_first(lines, error, warnings):
                raise _describe_toml(text, error) from None
    raise ConfigError(f"more than {_MAX_REPEATED} keys stand twice (the file is not TOML)")


def _describe_toml(text: str, error: tomllib.TOMLDecodeError) -> ConfigError:
    found = _TOML_PLACE.fullmatch(str(error))
    reason = found["words"] if found else "it cannot be read"
    words = f"{_TOML_WORDS.get(reason, reason)} (the file is not TOML)"
    position = len(text.rstrip())
    if found and found["line"]:
        lines = text.splitlines(keepends=True)
        position = sum(map(len, lines[: int(found["line"]) - 1])) + int(found["column"]) - 1
    return ConfigError(describe_place(text, position, words))


def _drop_first(lines: list[str], error: tomllib.TOMLDecodeError, warnings: list[str]) -> bool:
    """Empty the lines of what stands twice, where it stands first.

    The result is whether it was found.
    """
    found = _TOML_PLACE.fullmatch(str(error))
    if found is None or not found["line"] or not found["words"].startswith(("Cannot declare", "Cannot overwrite")):
        return False
    at = int(found["line"]) - 1
    head = _TOML_KEY.match(lines[at])
    if head is None:
        return False
    is_table = lines[at].lstrip().startswith("[")
    first = next((number for number in range(at - 1, -1, -1) if _key(lines, number) == head["key"]), None)
    if first is None:
        return False
    warnings.append(describe_repeated(head["key"].strip("[]"), first + 1, at + 1))
    end = next((number for number in range(first + 1, at) if lines[number].lstrip().startswith("[")), at)
    for number in range(first, end if is_table else first + 1):
        lines[number] = ""
    return True


def _key(lines: list[str], number: int) -> str:
    found = _TOML_KEY.match(lines[number])
    return found["key"] if found else ""


def parse_yaml(text: str) -> tuple[Any, list[str]]:
    """Parse YAML, with safe tags only; return it with warnings.

    Raises:
        ConfigError: it is not YAML, it is too large, or the library for it is not installed.

    """
    try:
        import yaml
    except ImportError:
        raise ConfigError(f"it looks like YAML; {INSTALL_YAML}") from None
    warnings: list[str] = []
    try:
        value = yaml.load(text, Loader=_loader(yaml.SafeLoader, warnings))  # noqa: S506  # a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = mark.index if mark else 0
        words = _explain_yaml(str(error.problem or error.context))
        raise ConfigError(describe_place(text, min(position, len(text)), f"{words} (the file is not YAML)")) from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError("it cannot be read (the file is not YAML)") from None
    _count_nodes(value)
    return value, warnings


def _explain_yaml(problem: str) -> str:
    if "'\\t'" in problem or "\t" in problem:
        return "YAML has no tabs; indent with spaces"
    # What it quotes of the file may be a secret.
    return re.sub(r"'!?\w[^']+'", "this", problem) if problem.isprintable() else "this cannot be read"


def _loader(base: type[yaml.SafeLoader], warnings: list[str]) -> Any:
    """Return a safe loader that warns of repeated keys."""

    class Loader(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
            seen: dict[str, int] = {}
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if str(key.value) in seen:
                    warnings.append(describe_repeated(str(key.value), seen[str(key.value)], line))
                seen[str(key.value)] = line
            made: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
            return made

    # A date is text to all programs that read these files.
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    return Loader


def _count_nodes(value: Any) -> None:
    """Refuse a document that aliases make endless, or very large."""
    waiting, count = [value], 0
    while waiting:
        count += 1
        if count > MAX_NODES:
            raise ConfigError(f"it has more than {MAX_NODES} values")
        item = waiting.pop()
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
