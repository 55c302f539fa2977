"""Synonyms, built in and configured.

Built-in ones mean only approximately the same, so they have a lower weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mcp_gateway_ranker_bm25.analyser import terms

Aliases = Mapping[str, tuple[tuple[str, float], ...]]
"""Synonyms by term, each with its weight relative to the term's own 1."""

_LIKELY, _CERTAIN = 0.3, 1.0
"""The weights of built-in synonyms, which are likely meant, and of configured ones, which are certain."""

_OURS = """
create make add new generate
delete remove erase
get fetch retrieve read
find search lookup locate
update edit modify change
send post
start run execute launch
show display view
convert transform translate
calculate compute
draw plot visualize
purchase buy
image picture photo
movie film
song music track
directory folder
repository repo
document doc
email mail
url link website webpage
price cost
job career
trip travel
"""


def load_aliases(configured: str) -> Aliases:
    """Return built-in and configured synonyms by term.

    The configuration is `k8s = kubernetes, pr = pull request`.
    """
    found: dict[str, dict[str, float]] = {}
    for line in _OURS.strip().splitlines():
        _add_group(found, [terms(word) for word in line.split()], _LIKELY)
    for group in configured.split(","):
        _add_group(found, [terms(part) for part in group.split("=")], _CERTAIN)
    return {term: tuple(others.items()) for term, others in found.items()}


def _add_group(found: dict[str, dict[str, float]], group: Iterable[list[str]], weight: float) -> None:
    """Add the synonyms of one group to `found`.

    Every single word of the group stands for the others; a phrase is only a target.
    """
    members = [member for member in group if member]
    for member in members:
        # Only single words are looked up in the query, not phrases.
        if len(member) == 1:
            others = {term: weight for other in members if other is not member for term in other if term != member[0]}
            found.setdefault(member[0], {}).update(others)
