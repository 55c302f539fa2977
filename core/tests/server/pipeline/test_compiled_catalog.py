"""What the fast path derives from a catalog is kept as long as the catalog is, and no longer."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.discovery.refresher import ANONYMOUS

from ...support.fake_servers import Remote, tool, until
from ...support.gateway import server_of
from .test_dispatch import EXPOSED


def fast_path_of(opened):
    """Return the fast path of an open gateway."""
    return server_of(opened)._direct


async def discover(opened):
    """Have the only server listed, and wait until nothing changes any more."""
    await opened.gateway.discover("alpha", ANONYMOUS)
    await until(lambda: not opened.gateway.discovery.running)


async def test_a_snapshot_is_compiled_once(gateway):
    async with gateway({"alpha": Remote(tool("x"))}, **EXPOSED) as opened:
        await discover(opened)
        compiled = fast_path_of(opened).compile_catalog()
        assert fast_path_of(opened).compile_catalog() is compiled
        assert compiled.route("alpha__x") is compiled.route("alpha__x") is not None
        for modern in (True, False):
            assert compiled.tool_list(modern=modern) is compiled.tool_list(modern=modern)
        assert compiled.server_info is compiled.server_info


def replace_catalog(opened):
    registry = opened.gateway.registry
    registry.catalog = Catalog(registry.catalog.servers, registry.catalog.revision)  # as when only the time moves on


def replace_specs(opened):
    opened.gateway.registry.specs = dict(opened.gateway.registry.specs)


def replace_builtin_tools(opened):
    tools = fast_path_of(opened).tools
    tools.set_builtin_tools(list(tools.builtin_tools))


@pytest.mark.parametrize("change", [replace_catalog, replace_specs, replace_builtin_tools])
async def test_it_is_compiled_anew_when_anything_that_it_depends_on_is_replaced(gateway, change):
    async with gateway({"alpha": Remote(tool("x"))}, **EXPOSED) as opened:
        await discover(opened)
        before = fast_path_of(opened).compile_catalog()
        change(opened)
        assert not before.is_current()
        after = fast_path_of(opened).compile_catalog()
        assert after is not before
        assert after.is_current()


async def test_nothing_of_the_snapshot_before_is_left(gateway):
    alpha = Remote(tool("x"), tool("y"))
    async with gateway({"alpha": alpha}, **EXPOSED) as opened:
        await discover(opened)
        before = fast_path_of(opened).compile_catalog()
        assert before.route("alpha__y") is not None
        assert "alpha__y" in names_in(before.tool_list(modern=True))
        spec = replace(opened.gateway.registry.specs["alpha"])
        del alpha.tools[1]
        await discover(opened)
        opened.gateway.registry.replace({"alpha": spec}, ())
        after = fast_path_of(opened).compile_catalog()
        assert after.route("alpha__y") is None
        assert after.route("alpha__x").spec is spec
        assert "alpha__y" not in names_in(after.tool_list(modern=True))
        assert "tool_search" in after.builtin_names


def names_in(encoded):
    """Return the names of the tools in an encoded list."""
    return [definition["name"] for definition in json.loads(encoded)]


async def test_a_name_without_a_tool_is_looked_up_again(gateway):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        await discover(opened)
        compiled = fast_path_of(opened).compile_catalog()
        assert compiled.route("alpha__unknown") is None
        assert "alpha__unknown" not in compiled._routes
