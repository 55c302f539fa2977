"""Search documents: what can be searched, in odd definitions too."""

from __future__ import annotations

import pytest

from mcp_gateway.catalog.search_documents import document_from_definition
from mcp_gateway.plugin import Parameter


def test_a_document_holds_what_can_be_searched():
    schema = {
        "type": "object",
        "properties": {
            "repo": {"type": "string", "description": "owner/name"},
            "state": {"enum": ["open", "closed", 3, None], "description": "which"},
            "any": True,
        },
    }
    document = document_from_definition(
        "git", {"name": "issues", "title": "Issues", "description": "List them", "inputSchema": schema}
    )
    assert (document.id, document.server, document.name) == ("git__issues", "git", "issues")
    assert (document.title, document.description) == ("Issues", "List them")
    assert document.parameters == (
        Parameter(name="repo", text="owner/name"),
        Parameter(name="state", text="which open closed"),
        Parameter(name="any"),
    )


def test_the_title_may_stand_in_the_annotations():
    assert document_from_definition("a", {"name": "x", "annotations": {"title": "Old"}}).title == "Old"
    assert document_from_definition("a", {"name": "x", "title": "New", "annotations": {"title": "Old"}}).title == "New"


@pytest.mark.parametrize("odd", [None, 3, "text", [], {"properties": None}, {"properties": []}, True, {"enum": 3}])
def test_what_is_not_as_mcp_has_it_is_left_out(odd):
    definition = {"name": "x", "title": odd, "description": odd, "annotations": odd, "inputSchema": odd}
    document = document_from_definition("a", definition)
    assert document.parameters == ()
    assert document.title == document.description == (odd if isinstance(odd, str) else "")
    nested = document_from_definition("a", {"name": "x", "inputSchema": {"properties": {"p": odd}}})
    assert nested.parameters == (Parameter(name="p"),)
