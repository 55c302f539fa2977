"""Providers: what the plugins offer, and an error that helps where something is missing or twice."""

from __future__ import annotations

import pytest

from mcp_gateway.plugin import PluginError
from mcp_gateway.plugin_host.loader import Choice, load_plugins
from mcp_gateway.plugin_host.providers import Providers

from ..support.fake_plugins import NOTHING_INSTALLED, everything, plugin, provider, providers_of


def raising():
    raise RuntimeError("no\nluck")


def half():
    yield provider("first")
    raise RuntimeError("then it broke")


def of_hooks(**hooks):
    """Make providers of a plugin whose hooks are these functions."""
    made = plugin(**{kind: [] for kind in hooks})
    for kind, function in hooks.items():
        marked = getattr(made, f"mcp_gateway_{kind}")
        function.mcp_gateway_impl = marked.mcp_gateway_impl
        setattr(made, f"mcp_gateway_{kind}", function)
    return Providers.of(load_plugins(NOTHING_INSTALLED, extra=[("mine", made)]))


def test_each_kind_has_providers_of_its_own():
    providers = providers_of(everything())
    assert {shelf.kind: sorted(shelf.providers) for shelf in providers.shelves} == {
        "server transport": ["http", "stdio"],
        "client transport": ["http", "memory", "stdio"],
        "auth strategy": ["forward", "static"],
        "ranker": ["bm25", "regex"],
        "storage backend": ["memory", "redis"],
    }


def test_one_plugin_may_offer_several_and_several_plugins_may_share_a_kind():
    providers = providers_of(plugin(rankers=[provider("a"), provider("b")]), plugin(rankers=[provider("c")]))
    assert sorted(providers.rankers.providers) == ["a", "b", "c"]
    assert providers.rankers.origins["c"].plugin == "plugin-1"


def test_a_hook_that_raises_is_a_fault_of_its_plugin():
    providers = of_hooks(rankers=raising)
    assert [str(fault) for fault in providers.faults] == ["mine (this process -): RuntimeError: no luck"]


def test_a_hook_that_breaks_half_way_offers_nothing():
    providers = of_hooks(rankers=half)
    assert providers.rankers.providers == {}
    assert "then it broke" in str(providers.faults[0])


@pytest.mark.parametrize("item, kind", [("bm25", "str"), (None, "NoneType"), (provider, "function")])
def test_a_hook_that_yields_something_else_is_a_fault_that_says_what(item, kind):
    providers = providers_of(plugin(rankers=[item]))
    assert f"must yield Provider objects, not {kind}" in providers.faults[0].reason


def test_a_hook_that_returns_nothing_is_a_fault():
    providers = of_hooks(rankers=lambda: None)
    assert "TypeError" in providers.faults[0].reason


def test_two_plugins_that_offer_one_name_are_both_named_with_their_versions(install):
    source = """
from contextlib import nullcontext
from mcp_gateway.plugin import Options, Provider, hookimpl
GATEWAY_API = 1
@hookimpl
def mcp_gateway_rankers():
    yield Provider(name="same", summary="", options=Options, build=lambda _: nullcontext())
"""
    install("acme-one", "1.2.3", modules={"acme_one": source}, ranker_one="acme_one")
    install("acme-two", "4.5.6", modules={"acme_two": source}, ranker_two="acme_two")
    loaded = load_plugins(Choice(only=("ranker-one", "ranker-two")))
    with pytest.raises(PluginError) as caught:
        Providers.of(loaded)
    message = str(caught.value)
    assert "ranker 'same' is offered by both" in message
    assert "ranker-one (acme-one 1.2.3)" in message
    assert "ranker-two (acme-two 4.5.6)" in message
    assert "GATEWAY_DISABLED_PLUGINS=" in message


def test_the_same_name_may_be_of_two_kinds():
    providers = providers_of(plugin(rankers=[provider("redis")], storage_backends=[provider("redis")]))
    assert providers.rankers["redis"] is not providers.storage_backends["redis"]


def test_an_unknown_name_lists_what_there_is_and_suggests_the_nearest():
    with pytest.raises(PluginError) as caught:
        providers_of(everything()).rankers["bm52"]
    assert str(caught.value) == "no ranker is called 'bm52'; installed: bm25, regex; did you mean 'bm25'?"


@pytest.mark.parametrize(
    "shelf, name, package",
    [
        ("rankers", "hybrid", "mcp-gateway-ranker-hybrid"),
        ("storage_backends", "redis", "mcp-gateway-storage-redis"),
        ("auth_strategies", "static", "mcp-gateway-auth-static"),
        ("auth_strategies", "forward", "mcp-gateway-auth-forwarded"),
        ("client_transports", "http", "mcp-gateway-transport-http"),
        ("server_transports", "stdio", "mcp-gateway-transport-stdio"),
    ],
)
def test_a_name_that_nothing_is_near_to_brings_the_package_to_install(shelf, name, package):
    with pytest.raises(PluginError) as caught:
        getattr(providers_of(), shelf)[name]
    assert str(caught.value).endswith(
        f"is called '{name}'; installed: none; install {package} from where you have the gateway"
    )


def test_a_name_that_is_left_out_on_purpose_is_not_to_be_installed(install):
    install("mcp-gateway-ranker-hybrid", modules={"acme": ""}, ranker_acme="acme")
    with pytest.raises(PluginError, match=r"DISABLED_PLUGINS leaves out mcp-gateway-ranker-hybrid, which brings it$"):
        Providers.of(load_plugins(NOTHING_INSTALLED)).rankers["hybrid"]


def test_no_package_is_named_that_anybody_might_have_published():
    with pytest.raises(PluginError, match=r"installed: none; install a plugin that brings it$"):
        providers_of().rankers["dense"]


def test_a_fault_is_reported_where_something_is_missing_and_nowhere_else():
    providers = Providers.of(
        load_plugins(
            NOTHING_INSTALLED, extra=[("mine", plugin(rankers=[None])), ("good", plugin(rankers=[provider("fine")]))]
        )
    )
    assert providers.rankers["fine"].name == "fine"
    with pytest.raises(PluginError, match=r"this plugin failed to load: mine .this process -.: its hook must yield"):
        providers.rankers["dense"]


def test_a_package_that_failed_to_import_is_reported_for_every_kind_since_it_may_have_offered_any(install):
    install("acme-broken", modules={"acme_broken": "1 / 0"}, ranker_broken="acme_broken")
    providers = Providers.of(load_plugins(Choice(only=("ranker-broken",))))
    assert len(providers.faults) == 1
    for shelf in providers.shelves:
        assert "ZeroDivisionError" in shelf.describe_missing("x")
