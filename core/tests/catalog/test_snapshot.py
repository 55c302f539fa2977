"""The catalog: which tool a name leads to, and what a change leaves as it was."""

from __future__ import annotations

import pytest

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.protocol.tool_names import former_names, full_name

from ..support.fake_servers import tool


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


@pytest.mark.parametrize("limit", [24, 40, 128])
@pytest.mark.parametrize("namespace", ["a", "my-company-internal-tools", "s" * 55, None])
def test_a_tool_is_found_by_its_former_names_at_another_limit(namespace, limit):
    long, odd = "t" * 90, "b/c d"
    server = "a" if namespace is None else namespace
    listing = Listing(server, (definition(long), definition(odd)), namespace=namespace, max_name=limit)
    found = Catalog({"other": Listing("other", (definition("x"),)), server: listing})
    assert max(map(len, found.full_names())) <= max(limit, len("other__x"))
    for own in (long, odd):
        for name in (full_name(namespace, own, limit), *former_names(namespace, own)):
            assert found.find(name) == definition(own)
            assert found.owner(name) == server
    assert found.owner(full_name(namespace, long, 25)) is None


def test_a_prompt_is_found_by_its_former_names_at_another_limit():
    prompt = {"name": "p" * 90}
    listing = Listing("a", prompts=(prompt,), max_name=40)
    (name,) = listing.prompts_by_name
    assert len(name) == 40
    assert all(listing.prompt(known) is prompt for known in (name, f"a__{'p' * 90}", full_name("a", "p" * 90)))
    assert listing.prompt("a__p") is None


def definition(name):
    return {"name": name, "inputSchema": {"type": "object"}}


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
