"""Loading: one broken package breaks nothing else, and every fault is told with its origin."""

from __future__ import annotations

import pytest

from mcp_gateway.plugin import PluginError
from mcp_gateway.plugin_host.loader import Choice, load_plugins

from ..support.fake_plugins import NOTHING_INSTALLED, plugin

GOOD = """
from mcp_gateway.plugin import hookimpl
GATEWAY_API = 1
@hookimpl
def mcp_gateway_rankers():
    return []
"""


def load(*names):
    return load_plugins(Choice(only=names))


def the_fault(loaded):
    assert len(loaded.faults) == 1
    return str(loaded.faults[0])


def test_an_installed_plugin_is_found_by_its_entry_point(install):
    install("acme-ranker", "2.3.4", modules={"acme_ranker": GOOD}, ranker_acme="acme_ranker")
    loaded = load("ranker-acme")
    assert str(loaded.origins["ranker-acme"]) == "ranker-acme (acme-ranker 2.3.4)"
    assert loaded.faults == ()


def test_a_plugin_that_cannot_be_imported_is_a_fault_and_the_others_work(install):
    install("acme-broken", modules={"acme_broken": "import no_such_library"}, ranker_broken="acme_broken")
    install("acme-ranker", modules={"acme_ranker": GOOD}, ranker_acme="acme_ranker")
    loaded = load("ranker-acme", "ranker-broken")
    assert list(loaded.origins) == ["ranker-acme"]
    assert the_fault(loaded) == (
        "ranker-broken (acme-broken 1.0.0): ModuleNotFoundError: No module named 'no_such_library'"
    )


def test_a_fault_is_one_line_whatever_the_error_says(install):
    install("acme-broken", modules={"acme_broken": "raise ValueError('one\\n   two')"}, ranker_broken="acme_broken")
    assert the_fault(load("ranker-broken")).endswith("ValueError: one two")


def test_an_entry_point_that_leads_nowhere_is_a_fault(install):
    install("acme-empty", ranker_empty="acme_not_there:thing")
    assert "No module named 'acme_not_there'" in the_fault(load("ranker-empty"))


def test_a_plugin_that_implements_a_hook_that_does_not_exist_is_a_fault_and_is_taken_back(install):
    unknown = GOOD + "@hookimpl\ndef mcp_gateway_rankerz():\n    return []\n"
    install("acme-unknown", modules={"acme_unknown": unknown}, ranker_unknown="acme_unknown")
    install("acme-zealous", modules={"acme_zealous": GOOD}, ranker_zealous="acme_zealous")
    loaded = load("ranker-unknown", "ranker-zealous")
    assert "mcp_gateway_rankerz" in the_fault(loaded)
    assert list(loaded.origins) == ["ranker-zealous"]
    assert [found.plugin_name for found in loaded.manager.hook.mcp_gateway_rankers.get_hookimpls()] == [
        "ranker-zealous"
    ]


def test_a_plugin_that_does_not_say_its_api_is_a_fault_that_tells_what_to_add(install):
    install("acme-old", modules={"acme_old": GOOD.replace("GATEWAY_API = 1", "")}, ranker_old="acme_old")
    assert "add GATEWAY_API = 1" in the_fault(load("ranker-old"))


@pytest.mark.parametrize(
    "version, advice",
    [("2", "update the core"), ("0", "update the plugin"), ("'x'", "update the plugin")],
)
def test_a_plugin_of_another_api_is_a_fault_that_tells_what_to_upgrade(install, version, advice):
    source = GOOD.replace("GATEWAY_API = 1", f"GATEWAY_API = {version}")
    install("acme-other", modules={"acme_other": source}, ranker_other="acme_other")
    fault = the_fault(load("ranker-other"))
    assert f"plugin API {version}, and this core has 1" in fault
    assert advice in fault


def test_a_disabled_plugin_is_left_out_and_not_even_imported(install):
    install("acme-broken", modules={"acme_broken": "raise SystemError"}, ranker_broken="acme_broken")
    loaded = load_plugins(Choice(only=("ranker-broken",), disabled=("ranker-broken",)))
    assert (loaded.faults, loaded.origins) == ((), {})
    assert "ranker-broken (acme-broken 1.0.0)" in map(str, loaded.left_out)


def test_only_the_plugins_that_are_named_load(install):
    install("acme-a", modules={"acme_a": GOOD}, ranker_a="acme_a")
    install("acme-b", modules={"acme_b": GOOD}, ranker_b="acme_b")
    loaded = load("ranker-b")
    assert list(loaded.origins) == ["ranker-b"]
    assert "ranker-a (acme-a 1.0.0)" in map(str, loaded.left_out)


def test_plugins_load_in_the_order_of_their_names(install):
    install("acme-b", modules={"acme_b": GOOD}, ranker_b="acme_b")
    install("acme-a", modules={"acme_a": GOOD}, ranker_a="acme_a")
    assert list(load("ranker-a", "ranker-b").origins) == ["ranker-a", "ranker-b"]


def test_a_program_that_embeds_the_gateway_brings_plugins_of_its_own():
    loaded = load_plugins(NOTHING_INSTALLED, extra=[("mine", plugin(rankers=[]))])
    assert str(loaded.origins["mine"]) == "mine (this process -)"


def test_a_fault_of_the_programs_own_plugin_is_raised():
    with pytest.raises(PluginError, match="GATEWAY_API = 1"):
        load_plugins(NOTHING_INSTALLED, extra=[("mine", object())])


def test_a_plugin_that_ends_the_interpreter_while_it_loads_is_not_swallowed(install):
    install("acme-quits", modules={"acme_quits": "raise SystemExit(3)"}, ranker_quits="acme_quits")
    with pytest.raises(SystemExit):
        load("ranker-quits")
