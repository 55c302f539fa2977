"""URI templates (RFC 6570) of resources."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp.shared.uri_template import UriTemplate


def matches_template(template: str, uri: str) -> bool:
    """Whether a template equals a URI, or can expand to it."""
    if template == uri:
        return True
    parsed = _parse_template(template)
    return parsed is not None and parsed.match(uri) is not None


@lru_cache(maxsize=4096)
def _parse_template(text: str) -> UriTemplate | None:
    # Imported here because the package is slow to import.
    from mcp.shared.uri_template import InvalidUriTemplate, UriTemplate

    try:
        return UriTemplate.parse(text)
    except InvalidUriTemplate:
        return None
