"""The scanner: what in a tool's definition looks like an attack on the model that reads it. Rules are data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mcp_gateway.catalogue import Definition
from mcp_gateway.pins import fields_of

_MAX_TEXT = 20_000
_COMPOUND = re.compile(r"[A-Za-z0-9]{2,}(?:[_-]+[A-Za-z0-9]+)+|[a-z0-9]+(?:[A-Z][a-z0-9]+){2,}")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its name, a sentence that says what it finds, and the pattern of what it finds anywhere in a text."""

    id: str
    says: str
    pattern: re.Pattern[str]


def _rule(id_: str, says: str, pattern: str) -> Rule:
    return Rule(id_, says, re.compile(pattern, re.IGNORECASE))


RULES = (
    _rule(
        "hidden-characters",
        "characters that people do not see and models read: tags, zero-width, bidirectional and control characters",
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
        "\U000e0000-\U000e007f\U000e0100-\U000e01ef]",
    ),
    _rule(
        "hidden-text",
        "text that people do not see where definitions are shown: comments, or after a lot of white space",
        r"<!--|[ \t]{60,}\S|\n(?:[ \t]*\n){9,}[ \t]*\S",
    ),
    _rule(
        "overrides-instructions",
        "it wants instructions to be forgotten, or speaks in the place of the system",
        r"\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:previous|prior|above|earlier|all|any|other|system)\b.{0,20}"
        r"\b(?:instruction|prompt|rule|message|guideline)s?\b"
        r"|</?(?:important|system|instructions?|secret|critical|admin)>|\[/?(?:INST|SYSTEM)\]|<\|im_(?:start|end)\|>",
    ),
    _rule(
        "hides-from-the-user",
        "it wants something to be kept from the user",
        r"\b(?:do not|don't|never|must not|should not|avoid)\b.{0,15}"
        r"\b(?:tell|mention|inform|notify|reveal|disclose|alert|show)(?:ing)?\b.{0,25}\b(?:user|human|them|anyone|anybody)\b|\bwithout\b.{0,15}\b(?:tell|inform|notify|alert|ask)ing\b"
        r".{0,15}\b(?:user|human)\b|\b(?:secretly|covertly|surreptitiously)\b",
    ),
    _rule(
        "wants-to-be-first",
        "it wants to be called before, after or instead of the tools of others",
        r"\b(?:before|after|whenever|prior to)\b.{0,20}\b(?:us|call|invok|execut|runn)\w*\b.{0,12}"
        r"\b(?:any|every|all)\b(?:.{0,8}\bother)?.{0,8}\btools?\b"
        r"|\binstead of\b.{0,15}\b(?:any|every|all)\b.{0,10}\btools?\b",
    ),
    _rule(
        "wants-secrets",
        "it names files and places where credentials are kept",
        r"\.ssh/|\bid_(?:rsa|ed25519|ecdsa)\b|/etc/(?:passwd|shadow)\b|\.aws/credentials|\.cursor/mcp\.json"
        r"|claude_desktop_config|\.netrc\b|\.git-credentials|\.kube/config|\bkeychain dump\b",
    ),
    _rule(
        "sends-data-away",
        "it wants what the model knows to be sent to an address that it names",
        r"\b(?:send|forward|post|upload|exfiltrate|transmit|leak)\b.{0,60}\b(?:conversation|chat|history|context|credential|"
        r"secret|password|token|api key|environment|file content)\w*\b.{0,60}(?:https?://|\S+@\S+\.\w)",
    ),
    _rule(
        "encoded-text",
        "a long text that people cannot read: base64 or hexadecimal",
        r"(?<![A-Za-z0-9+/=_.:,-])(?:[A-Za-z0-9+/]{160,}={0,2}|(?:[0-9a-f]{2}){80,})(?![A-Za-z0-9+/])",
    ),
)

OTHERS_TOOLS = Rule("names-others-tools", "it names a tool of another server", _COMPOUND)
"""The rule that takes knowing the other tools."""


def scanned(definition: Definition, others: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return the names of the rules that a definition breaks. `others` are the names of other servers' tools."""
    fields = fields_of(definition)
    text = "\n".join(fields.values())[:_MAX_TEXT]
    broken = [rule.id for rule in RULES if rule.pattern.search(text)]
    said = "\n".join(text for path, text in fields.items() if path not in ("name", "title"))[:_MAX_TEXT]
    if others and not others.isdisjoint(OTHERS_TOOLS.pattern.findall(said)):
        broken.append(OTHERS_TOOLS.id)
    return tuple(broken)


def distinctive(names: Iterable[str]) -> frozenset[str]:
    """Return the names that are no ordinary words, so that who writes one means the tool."""
    return frozenset(name for name in names if _COMPOUND.fullmatch(name))
