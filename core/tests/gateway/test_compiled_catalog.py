"""Routes are kept as long as the catalog that they lead through, and no longer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import Raw

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.discovery.refresher import ANONYMOUS
from mcp_gateway.gateway import compiled_catalog as module
from mcp_gateway.protocol.raw_json import decode_members, encode_members

from ..support.fake_servers import Remote, tool, until
from ..support.raw_client import call, dispatch


async def discover(opened):
    """Have the only server listed, and wait until nothing changes any more."""
    await opened.gateway.discover("alpha", ANONYMOUS)
    await until(lambda: not opened.gateway.discovery.running)
    return opened.gateway.compiler


async def test_a_route_is_found_once(gateway):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        compiler = await discover(opened)
        found = compiler.current().route("alpha__x")
        assert (found.spec.name, bytes(found.name), found.repeatable) == ("alpha", b'"x"', False)
        assert compiler.current().route("alpha__x") is found


async def test_a_route_knows_what_the_definition_says(gateway):
    schema = {"type": "object", "properties": {"n": {"type": "string", "x-mcp-header": "N"}}}
    odd = {**tool("x", annotations={"readOnlyHint": True}), "inputSchema": schema}
    async with gateway({"alpha": Remote(odd)}) as opened:
        found = (await discover(opened)).current().route("alpha__x")
    assert found.repeatable
    request = found.request(encode_members({"name": "alpha__x", "arguments": {"n": "a"}, "vendor": None}), {})
    assert decode_members(request.params) == {
        "name": "x",
        "arguments": {"n": "a"},
        "vendor": None,
    }
    assert request.modern_headers() == {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "x",
        "Mcp-Param-N": "a",
    }


async def test_without_arguments_a_server_gets_an_empty_object(gateway):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        request = (await discover(opened)).current().route("alpha__x").request(encode_members({"name": "alpha__x"}), {})
    assert decode_members(request.params) == {"arguments": {}, "name": "x"}


def replace_catalog(registry):
    registry.catalog = Catalog(registry.catalog.servers, registry.catalog.revision)  # as when only the time moves on


def replace_specs(registry):
    registry.specs = dict(registry.specs)


@pytest.mark.parametrize("change", [replace_catalog, replace_specs])
async def test_it_is_found_anew_when_anything_that_it_depends_on_is_replaced(gateway, change):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        compiler = await discover(opened)
        before = compiler.current().route("alpha__x")
        change(opened.gateway.registry)
        after = compiler.current().route("alpha__x")
        assert after is not before
        assert compiler.current().route("alpha__x") is after


async def test_a_private_route_is_that_of_its_listing_and_of_the_server_as_configured(gateway, monkeypatch):
    monkeypatch.setattr(module, "_MAX_PRIVATE_ROUTES", 3)
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        compiled = (await discover(opened)).current()
    spec = compiled.prefix_owner("alpha__x")
    assert spec is compiled.specs["alpha"]
    listings = [Listing("alpha", (tool("x", annotations={"readOnlyHint": able}),)) for able in (True, False)]
    for _ in range(2):
        assert [compiled.route_within(spec, one, "alpha__x").repeatable for one in listings] == [True, False]
    first = compiled.route_within(spec, listings[0], "alpha__x")
    assert compiled.route_within(spec, listings[0], "alpha__x") is first
    assert compiled.route_within(spec, listings[0], "alpha__y") is None
    assert compiled.route_within(replace(spec), listings[0], "alpha__x") is None
    for number in range(9):
        compiled.route_within(spec, Listing("alpha", (tool(f"t{number}"),)), f"alpha__t{number}")
    assert len(compiled._private) <= 3


async def test_only_a_configured_prefix_has_an_owner(gateway):
    servers = {"alpha": Remote(tool("x")), "beta": Remote(tool("y")), "gamma": Remote(tool("z"))}
    async with gateway(servers, alpha={"namespace": "a"}, gamma={"namespace": None}) as opened:
        compiled = opened.gateway.compiler.current()
    owners = {name: compiled.prefix_owner(name) for name in ("a__x", "alpha__x", "beta__y", "gamma__z", "z", "__z")}
    assert {name: owner and owner.name for name, owner in owners.items()} == {
        "a__x": "alpha",
        "alpha__x": None,
        "beta__y": "beta",
        "gamma__z": None,
        "z": None,
        "__z": None,
    }


async def test_nothing_of_the_snapshot_before_is_left(gateway):
    alpha = Remote(tool("x"), tool("y"))
    async with gateway({"alpha": alpha}) as opened:
        compiler = await discover(opened)
        assert compiler.current().route("alpha__y") is not None
        spec = replace(opened.gateway.registry.specs["alpha"])
        del alpha.tools[1]
        await discover(opened)
        opened.gateway.registry.replace({"alpha": spec}, ())
        assert compiler.current().route("alpha__y") is None
        assert compiler.current().route("alpha__x").spec is spec
        assert "Unknown tool" in (await dispatch(opened, call("alpha__y")))["error"]["message"]


async def test_a_name_without_a_tool_is_looked_up_again(gateway):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        compiler = await discover(opened)
        for name in ("alpha__unknown", "beta__x", "nonsense", ""):
            assert compiler.current().route(name) is None
        assert compiler.current()._routes == {}


async def test_ever_new_names_do_not_fill_the_memory(gateway, monkeypatch):
    monkeypatch.setattr(module, "_MAX_ROUTES_PER_SERVER", 1)
    async with gateway({"alpha": Remote(*map(tool, "abcdef"))}) as opened:
        compiler = await discover(opened)
        for name in "abcdef":
            assert compiler.current().route(f"alpha__{name}") is not None
        assert len(compiler.current()._routes) <= 3


async def test_what_is_encoded_of_a_snapshot_is_made_once_for_each_key(gateway):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        compiler, made = await discover(opened), []

        def encode(value):
            made.append(value)
            return Raw(value)

        compiled = compiler.current()
        for _ in range(2):
            assert bytes(compiled.encoded("one", lambda: encode(b"1"))) == b"1"
            assert bytes(compiled.encoded(("two", True), lambda: encode(b"2"))) == b"2"
        assert made == [b"1", b"2"]
        replace_catalog(opened.gateway.registry)
        assert bytes(compiler.current().encoded("one", lambda: encode(b"3"))) == b"3"
