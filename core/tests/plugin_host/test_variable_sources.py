"""Variable sources: `${source:KEY}`, where a source is missing, silent, broken or forgetful."""

from __future__ import annotations

import threading

import pytest

from mcp_gateway.config.forms.variables import Unset, Variables
from mcp_gateway.plugin import PluginError, VariableError, VariableSource, call_in_time
from mcp_gateway.plugin_host.loader import load_plugins
from mcp_gateway.plugin_host.providers import Providers
from mcp_gateway.plugin_host.variable_sources import VariableReader, VariableSources

from ..support.fake_plugins import NOTHING_INSTALLED, plugin, providers_of


def source(name="vault", read={"key": "v4lue"}.get, **more):  # a function, made once
    return VariableSource(
        name=name, summary="", read=read, explain_missing=lambda key: f"write {key} into the vault", **more
    )


def sources_of(*offered, **more):
    return VariableSources({one.name: one for one in offered}, **more)


def expand(text, sources):
    return Variables({}, reader=VariableReader(sources)).expand(text)


def test_a_variable_of_a_source_has_its_value_in_any_text():
    assert expand({"a": ["Bearer ${vault:key}"]}, sources_of(source())) == {"a": ["Bearer v4lue"]}
    assert expand("$${vault:key}", sources_of(source())) == "${vault:key}"


def test_a_key_may_have_any_characters():
    found = sources_of(source(read=lambda key: f"<{key}>"))
    assert expand("${vault:op://a b/c:-d}", found) == "<op://a b/c:-d>"


def test_what_a_source_does_not_have_is_named_with_what_to_do():
    with pytest.raises(Unset) as caught:
        expand("${vault:other}", sources_of(source()))
    assert str(caught.value) == "${vault:other}: there is no such variable; write other into the vault"


def test_a_source_that_no_plugin_brings_is_named_with_what_to_install():
    providers = providers_of(plugin(variable_sources=[source()]))
    with pytest.raises(Unset) as caught:
        expand("${keyring:key}", providers.variable_sources)
    assert str(caught.value) == (
        "${keyring:key}: no variable source is called 'keyring'; installed: vault; "
        "install mcp-gateway-variables-keyring from where you have the gateway"
    )
    with pytest.raises(Unset, match="no variable source is called 'volt'; installed: vault; did you mean 'vault'"):
        expand("${volt:key}", providers.variable_sources)


def test_a_value_is_read_once_in_a_reading_and_shown_by_nothing():
    asked = []

    def read(key):
        asked.append(key)
        return "v4lue"

    reader = VariableReader(sources_of(source(read=read)))
    variables = Variables({}, reader=reader)
    assert variables.expand(["${vault:key}", "${vault:key}"]) == ["v4lue", "v4lue"]
    assert asked == ["key"]
    assert "v4lue" not in f"{variables!r}{reader!r}"


def test_a_source_that_cannot_answer_is_asked_once():
    asked = []

    def read(key):
        asked.append(key)
        raise VariableError("the vault is locked; unlock it")

    reader = VariableReader(sources_of(source(read=read)))
    for key in ("one", "two"):
        with pytest.raises(Unset, match=rf"^\$\{{vault:{key}\}}: the vault is locked; unlock it$"):
            Variables({}, reader=reader).expand(f"${{vault:{key}}}")
    assert asked == ["one"]


def test_a_missing_key_does_not_make_the_others_missing():
    reader = VariableReader(sources_of(source()))
    with pytest.raises(VariableError, match="no such variable"):
        reader.read("vault", "other")
    assert reader.read("vault", "key") == "v4lue"


def test_a_source_that_does_not_answer_is_waited_for_within_bounds():
    released = threading.Event()
    silent = sources_of(source(read=lambda _: str(released.wait(60))), seconds=0.05)
    try:
        with pytest.raises(VariableError, match=r"'vault' has not answered within 0\.05 s; unlock it, then try again"):
            silent.read("vault", "key")
    finally:
        released.set()


def test_the_words_of_a_source_that_fails_are_not_repeated():
    def read(_):
        raise RuntimeError("v4lue")

    with pytest.raises(VariableError) as caught:
        sources_of(source(read=read)).read("vault", "key")
    assert str(caught.value) == "the variable source 'vault' has failed: RuntimeError"
    assert caught.value.__suppress_context__


def test_a_source_that_answers_with_no_text_has_failed():
    with pytest.raises(VariableError, match="no text"):
        sources_of(source(read=lambda _: b"v4lue")).read("vault", "key")


def test_what_is_written_is_there_or_an_error():
    kept = {}
    keeping = sources_of(source(read=kept.get, write=kept.__setitem__, remove=lambda key: bool(kept.pop(key, None))))
    keeping.write("vault", "key", "v")
    assert kept == {"key": "v"}
    assert keeping.remove("vault", "key")
    assert not keeping.remove("vault", "key")
    with pytest.raises(VariableError, match="has not kept 'key'"):
        sources_of(source(read={}.get, write=lambda _, __: None)).write("vault", "key", "v")


def test_a_source_that_can_only_be_read_says_so():
    with pytest.raises(VariableError, match="can only be read"):
        sources_of(source()).write("vault", "key", "v")
    with pytest.raises(VariableError, match="can only be read"):
        sources_of(source()).remove("vault", "key")


def test_two_plugins_that_offer_one_source_are_named():
    both = [("one", plugin(variable_sources=[source()])), ("two", plugin(variable_sources=[source()]))]
    with pytest.raises(PluginError, match=r"variable source 'vault' is offered by both one .* and two"):
        Providers.of(load_plugins(NOTHING_INSTALLED, extra=both))


def test_a_hook_that_offers_something_else_is_a_fault_of_its_plugin_only():
    providers = providers_of(plugin(variable_sources=["vault"]), plugin(variable_sources=[source()]))
    assert providers.variable_sources.read("vault", "key") == "v4lue"
    (fault,) = providers.faults
    assert "must yield VariableSource objects, not str" in fault.reason


def test_a_call_in_time_gives_back_what_it_returns_or_raises():
    assert call_in_time(60, lambda: 7) == 7
    with pytest.raises(KeyError, match="x"):
        call_in_time(60, lambda: {}["x"])
