"""Scanner for attacks on the model in definitions (tool poisoning).

It checks every text and every field name of a definition, at any depth. Patterns of words are matched against
normalized lower-case texts in which names such as `ignore_this` are split into words, one text per line; patterns of
hidden characters are matched against the original texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mcp_gateway.catalog.listing import Definition, Listing
from mcp_gateway.protocol.encoded_json import read
from mcp_gateway.text.characters import JOINERS
from mcp_gateway.text.normalization import CYRILLIC_LOOK_ALIKES, PIECE, normalize

_COMPOUND = re.compile(r"[A-Za-z0-9]{2,}(?:[_-]+[A-Za-z0-9]+)+|[a-z0-9]+(?:[A-Z][a-z0-9]+){2,}")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[A-Za-z0-9_-]+")

_COMES_FIRST = "wants-to-be-first"
_LONGEST_MATCH = 1024
"""How many characters the pieces of a long text overlap; no pattern matches nearly as many."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A scanner rule: id, description and pattern.

    The pattern may match anywhere in a text.

    Patterns take linear time, because each repetition is bounded. With `as_written` a pattern is matched against
    texts that are not normalized.
    """

    id: str
    says: str
    pattern: re.Pattern[str]
    as_written: bool = False


def _rule(id_: str, says: str, pattern: str, *, as_written: bool = False) -> Rule:
    return Rule(id_, says, re.compile(pattern), as_written)


RULES = (
    _rule(
        "hidden-characters",
        "characters that people do not see and models read: tags, zero-width, bidirectional and control characters",
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
        "\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
        "\U000e0000-\U000e0fff]"
        # Emoji and many scripts use one or two joiners or variation selectors: never three, nor between Latin letters.
        f"|[{JOINERS}\ufe00-\ufe0f]{{3}}|(?<=[A-Za-z])[{JOINERS}\ufe00-\ufe0f]{{1,2}}[A-Za-z]",
        as_written=True,
    ),
    _rule(
        "hidden-text",
        "text that people do not see where definitions are shown: comments, or after a lot of white space",
        r"<!--|[^\S\n]{60}|(?:\n[^\S\n]{0,59}){10}"
        r"|\b[Ss](?i:tyle\s?=\s?[\"'][^\"'>]{0,200}(?:display\s?:\s?none|visibility\s?:\s?hidden|font-size\s?:\s?0))",
        as_written=True,
    ),
    _rule(
        "mixed-scripts",
        "Latin words with letters of another script that look the same",
        f"[{CYRILLIC_LOOK_ALIKES}](?:[A-Za-z]|(?<=[A-Za-z].))",
        as_written=True,
    ),
    _rule(
        "overrides-instructions",
        "it wants instructions to be forgotten, or speaks in the place of the system",
        r"\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:previous|prior|above|earlier|all|any|other|system)\b.{0,20}"
        r"\b(?:instruction|prompt|rule|message|guideline)s?\b"
        r"|</?(?:important|system|instructions?|secret|critical|admin)>|\[/?(?:inst|system)\]|<\|im (?:start|end)\|>"
        r"|\bfrom now on\b.{0,10}\b(?:you|always|never)\b",
    ),
    _rule(
        "hides-from-the-user",
        "it wants something to be kept from the user",
        r"\b(?:do.not|don't|never|must.not|should.not|avoid)\b.{0,15}"
        r"\b(?:tell|mention|inform|notify|reveal|disclose|alert|show)(?:ing)?\b.{0,25}\b(?:user|human|them|anyone|anybody)\b|\bwithout\b.{0,15}\b(?:tell|inform|notify|alert|ask)ing\b"
        r".{0,15}\b(?:user|human)\b|\b(?:secretly|covertly|surreptitiously)\b",
    ),
    _rule(
        _COMES_FIRST,
        "it wants to be called before, after or instead of the tools of others",
        r"\b(?:before|after|whenever|prior to)\b.{0,20}\b(?:us|call|invok|execut|runn)\w{0,8}\b.{0,12}"
        r"\b(?:any|every|all)\b(?:.{0,8}\bother)?.{0,8}\btools?\b"
        r"|\binstead of\b.{0,15}\b(?:any|every|all)\b.{0,10}\btools?\b",
    ),
    _rule(
        "wants-secrets",
        "it names files and places where credentials are kept",
        r"\.ssh/|\bid (?:rsa|ed25519|ecdsa)\b|/etc/(?:passwd|shadow)\b|\.aws/credentials|\.cursor/mcp\.json"
        r"|claude desktop config|\.netrc\b|\.git-credentials|\.kube/config|\bkeychain dump\b",
    ),
    _rule(
        "sends-data-away",
        "it wants what the model knows to be sent to an address that it names",
        r"\b(?:send|forward|post|upload|exfiltrate|transmit|leak)\b.{0,60}\b(?:conversation|chat|history|context|credential|"
        r"secret|password|token|api key|environment|file content)\w{0,12}\b.{0,60}(?:https?://|\S@[\w-]{1,64}\.\w)",
    ),
    _rule(
        "encoded-text",
        "a long text that people cannot read: base64 or hexadecimal",
        r"(?<![A-Za-z0-9+/=_.:,-])[A-Za-z0-9+/]{120}",
        as_written=True,
    ),
)

OTHERS_TOOLS = Rule("names-others-tools", "it names a tool of another server", _COMPOUND)
"""The rule that needs the names of other servers' tools."""


def scan(definition: Definition, others: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return the ids of the rules that a definition violates.

    `others` are the names of other servers' tools.
    """
    texts = list(texts_of(definition))
    written, words = "\n".join(text for text in map(str.strip, texts) if text), _split_words(normalize(texts))
    broken = [rule.id for rule in RULES if _is_in(written if rule.as_written else words, rule.pattern)]
    if others and _names_others(definition, others):
        broken.append(OTHERS_TOOLS.id)
    return tuple(broken)


def scan_rest(listing: Listing) -> dict[str, tuple[str, ...]]:
    """Return the broken rules of prompts, resources, templates and instructions.

    The rule against "call this tool first" does not apply to instructions, which may order a server's own tools.
    """
    parts: list[tuple[str, Definition]] = [
        *((f"prompt {prompt['name']!r}", prompt) for prompt in listing.prompts),
        *((f"resource {resource['uri']!r}", resource) for resource in listing.resources),
        *((f"template {template['uriTemplate']!r}", template) for template in listing.templates),
    ]
    found = {part: scan(read(definition)) for part, definition in parts}
    found["what it says of itself"] = tuple(rule for rule in scan(listing.initialize_result) if rule != _COMES_FIRST)
    return {part: rules for part, rules in found.items() if rules}


def texts_of(value: Any) -> Iterator[str]:
    """Iterate over all texts and field names of a JSON value."""
    rest = [value]
    while rest:
        inner = rest.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict):
            yield from inner
            rest.extend(inner.values())
        elif isinstance(inner, list | tuple):
            rest.extend(inner)


def distinctive(names: Iterable[str]) -> frozenset[str]:
    """Return the names that are not ordinary words.

    A text that contains such a name refers to the tool.
    """
    return frozenset(name for name in names if _COMPOUND.fullmatch(name))


def _split_words(text: str) -> str:
    """Return a text in lower case, its compound names split.

    `ignoreThis` and `ignore_this` are two words each.
    """
    pieces = (_HUMP.sub(" ", text[at : at + PIECE]) for at in range(0, len(text), PIECE))
    return "".join(pieces).lower().replace("_", " ")


def _is_in(text: str, pattern: re.Pattern[str]) -> bool:
    """Whether a pattern is in a text.

    Long texts are searched in pieces, because a single search would hold the GIL.
    """
    pieces = range(0, len(text), PIECE)
    return any(pattern.search(text, start, start + PIECE + _LONGEST_MATCH) for start in pieces)


def _names_others(definition: Definition, others: frozenset[str]) -> bool:
    texts = texts_of([value for name, value in definition.items() if name not in ("name", "title")])
    sentences = (text for text in texts if not _WORD.fullmatch(text))  # a field or value of that name is no reference
    words = (word.strip("_-") for word in _WORD.findall(normalize(sentences)))
    return not others.isdisjoint(words)
