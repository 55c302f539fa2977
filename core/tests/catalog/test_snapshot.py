"""Names and the catalog: how tools are called, and what can be searched in odd definitions."""

from __future__ import annotations

import pytest

from mcp_gateway.catalog.snapshot import Catalog, Listing, document_from_definition
from mcp_gateway.plugin import Parameter
from mcp_gateway.protocol.tool_names import (
    MAX_NAME,
    full_name,
    is_server_name,
    sanitize_server_name,
    split_name,
)

from ..support.fake_servers import tool


@pytest.mark.parametrize(
    "name, parts",
    [
        ("a__b", ("a", "b")),
        ("a__b__c", ("a", "b__c")),
        ("a____b", ("a", "__b")),
        ("a-1.x__b.c-d", ("a-1.x", "b.c-d")),
        ("a_b", None),
        ("__b", None),
        ("a__", None),
        ("__", None),
        ("", None),
    ],
)
def test_a_full_name_splits_at_the_first_separator(name, parts):
    assert split_name(name) == parts
    if parts:
        assert full_name(*parts) == name


@pytest.mark.parametrize(
    "server, tool, short",
    [
        ("a", "b/c d", "a__b_c_d_e94aa0"),
        ("a", "日本", "a____f441de"),
        ("server", "t" * 60, f"server__{'t' * 49}_e0e8f1"),
        ("s" * 70, "tool", f"{'s' * 57}_74327b"),
    ],
)
def test_a_name_that_clients_refuse_has_a_short_form_that_never_changes(server, tool, short):
    assert full_name(server, tool) == short
    assert len(short) <= MAX_NAME


def test_names_that_differ_only_in_what_is_cut_off_stay_apart():
    names = [full_name("server", f"{'t' * 60}{number}") for number in range(1000)]
    assert len(set(names)) == 1000


def test_a_tool_is_found_by_its_short_form_and_by_its_whole_name():
    long, odd = "t" * 90, "b/c d"
    found = Catalog({"a": Listing("a", (definition(long), definition(odd)))})
    for own in (long, odd):
        for name in (full_name("a", own), f"a__{own}"):
            assert found.find(name) == definition(own)
            assert found.owner(name) == "a"
    assert list(found.full_names()) == [full_name("a", long), full_name("a", odd)]


def test_a_short_form_leads_to_its_server_even_if_that_name_is_cut():
    cut = "s" * 70
    found = Catalog({cut: Listing(cut, (definition("tool"),))})
    assert found.owner(full_name(cut, "tool")) == cut
    assert found.find(full_name(cut, "tool")) == definition("tool")


def test_a_namespace_stands_in_place_of_the_servers_name():
    other = Listing("a", (definition("x"),), prompts=({"name": "p"},), namespace="work")
    bare = Listing("b", (definition("y"), definition("z" * 90)), namespace=None)
    found = Catalog({"a": other, "b": bare})
    assert list(found.full_names()) == ["work__x", "y", "z" * 90]
    assert (found.owner("work__x"), found.owner("y"), found.owner("z" * 90)) == ("a", "b", "b")
    assert (found.owner("a__x"), found.owner("b__y")) == (None, None)
    assert list(other.prompts_by_name) == ["work__p"]
    assert [document.id for document in found.documents()] == ["work__x", "y", "z" * 90]


def definition(name):
    return {"name": name, "inputSchema": {"type": "object"}}


@pytest.mark.parametrize("name", ["a", "A1", "a_b", "a-b.c", "a_b_c", "1"])
def test_a_server_name_has_no_separator_in_it(name):
    assert is_server_name(name)
    assert sanitize_server_name(name) == name
    assert split_name(full_name(name, "_t")) == (name, "_t")


@pytest.mark.parametrize("name", ["my server", "a__b", "_a_", "ä", "…", "a/b@c", "", "-x-", ".", "a___b", "a _ b"])
def test_a_name_of_another_program_is_tamed_into_a_server_name(name):
    assert is_server_name(sanitize_server_name(name))
    assert sanitize_server_name(sanitize_server_name(name)) == sanitize_server_name(name)


def catalog(**tools):
    found = Catalog()
    for server, names in tools.items():
        found = found.with_listing(Listing(server, tuple(tool(name) for name in names)), list(tools))
    return found


def test_a_tool_is_found_by_its_full_name():
    found = catalog(a=["x", "y__z"], b=["x"])
    assert found.find("a__y__z")["name"] == "y__z"
    assert [found.find(name) for name in ("a__z", "c__x", "x", "")] == [None] * 4
    assert list(found.full_names()) == ["a__x", "a__y__z", "b__x"]


def test_servers_keep_the_order_of_the_configuration_whoever_answers_first():
    late = Catalog().with_listing(Listing("b"), ["a", "b"]).with_listing(Listing("a"), ["a", "b"])
    assert list(late.servers) == ["a", "b"]


def test_a_new_list_replaces_that_of_its_server_only_and_the_old_catalogue_stays():
    before = catalog(a=["x"], b=["y"])
    after = before.with_listing(Listing("a", (tool("z"),)), ["a", "b"])
    assert list(after.full_names()) == ["a__z", "b__y"]
    assert list(before.full_names()) == ["a__x", "b__y"]
    assert after.servers["b"] is before.servers["b"]


def test_of_two_tools_with_one_name_the_last_counts():
    tools = Listing("a", (tool("x", "first"), tool("x", "second")))
    assert [document.description for document in tools.documents()] == ["second"]


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


def test_arguments_that_a_modern_server_wants_as_headers_are_known_by_tool():
    schema = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    tools = Listing("a", (tool("x") | {"inputSchema": schema}, tool("y"), {"name": "z"}))
    assert tools.header_arguments == {"x": {("region",): "Region"}}


def test_names_are_not_worked_out_again_because_time_has_moved_on():
    order = ["alpha", "beta"]
    first = (
        Catalog().with_listing(Listing("alpha", (tool("x"),)), order).with_listing(Listing("beta", (tool("y"),)), order)
    )
    assert first.owner("nothing__x") is None
    touched = first.with_listing(Listing("alpha", (tool("x"),), fetched=1.0), order)
    assert (touched.revision, touched._irregular) == (first.revision, first._irregular)
    assert touched._irregular is first._irregular
    assert touched.owner("alpha__x") == "alpha"
    renamed = first.with_listing(Listing("alpha", (tool("x"),), namespace="other"), order)
    assert (renamed.owner("other__x"), renamed.owner("alpha__x")) == ("alpha", None)
    grown = first.with_listing(Listing("alpha", (tool("x"), tool("a" * 70))), order)
    assert grown.revision == first.revision + 1
    assert grown._irregular is not first._irregular
