"""Environment variables: each has its default, does what it says, and is named where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_gateway.config.settings import (
    Environment,
    plugin_choice,
    read_environment,
    read_settings,
    warn_unknown_variables,
)
from mcp_gateway.plugin import ConfigError, PluginError

from ..support.fake_plugins import everything, providers_of

DEFAULTS = {
    "GATEWAY_ENV_FILE": ("env_file", None, "/x/.env", Path("/x/.env")),
    "SERVER_CONFIG_PATH": ("server_config", Path("server_config.json"), "x.json", Path("x.json")),
    "GATEWAY_CONFIG_RELOAD": ("config_reload", 1.0, "0", 0.0),
    "GATEWAY_TRANSPORT": ("server_transport", "stdio", " HTTP ", "http"),
    "STORAGE_BACKEND": ("storage", "memory", "Redis", "redis"),
    "GATEWAY_RANKER": ("ranker", "bm25", "regex", "regex"),
    "GATEWAY_MAX_RESULTS": ("max_results", 10, "50", 50),
    "GATEWAY_AUTH_MODE": ("auth_mode", "auto", "Static", "static"),
    "MCP_GATEWAY_TOOL_CACHE_TTL": ("tool_ttl", 300.0, "60", 60.0),
    "MCP_GATEWAY_DEFAULT_CONNECTION_MODE": ("connection_mode", "stateless", "STATEFUL", "stateful"),
    "MCP_GATEWAY_CONNECTION_TIMEOUT": ("timeout", None, "0.5", 0.5),
    "GATEWAY_START_TIMEOUT": ("start_timeout", 180.0, "0.5", 0.5),
    "GATEWAY_LIST_TIMEOUT": ("list_timeout", 60.0, "0.5", 0.5),
    "GATEWAY_CALL_TIMEOUT": ("call_timeout", 600.0, "0.5", 0.5),
    "MCP_GATEWAY_MAX_RETRIES": ("max_retries", 3, "0", 0),
    "MCP_GATEWAY_MAX_CALL_TIME": ("max_call_time", 3600.0, "60", 60.0),
    "MCP_GATEWAY_SESSION_IDLE_TIMEOUT": ("idle_timeout", 1800.0, "9", 9.0),
    "GATEWAY_SHUTDOWN_GRACE": ("grace", 1.5, "0", 0.0),
    "GATEWAY_MAX_CALLS": ("max_calls", 1000, "7", 7),
    "GATEWAY_MAX_CALLS_PER_SERVER": ("max_server_calls", 200, "7", 7),
    "GATEWAY_MAX_QUEUE": ("max_queue", 500, "0", 0),
    "GATEWAY_QUEUE_TIMEOUT": ("queue_timeout", 10.0, "0.5", 0.5),
    "GATEWAY_NAME_LENGTH": ("max_name", 64, "40", 40),
    "GATEWAY_MAX_DEFINITIONS": ("max_definitions", 10_000, "7", 7),
    "GATEWAY_MAX_RESULT_BYTES": ("max_result_bytes", 32 << 20, "10000", 10_000),
    "GATEWAY_RESULT_OVERFLOW": ("overflow", "error", "Cut", "cut"),
    "GATEWAY_KEPT_RESULT_BYTES": ("kept_bytes", 64 << 20, "0", 0),
    "MCP_GATEWAY_MAX_SESSIONS_PER_SERVER": ("max_server_sessions", 100, "7", 7),
    "GATEWAY_SHARED": ("shared", False, "1", True),
    "GATEWAY_CONTROL_SOCKET": ("control_socket", "auto", "OFF", "off"),
    "GATEWAY_LOG_LEVEL": ("log_level", "info", "WARNING", "warning"),
    "GATEWAY_LOG_FORMAT": ("log_format", "auto", "json", "json"),
    "GATEWAY_PINNING": ("pinning", "warn", "Block", "block"),
    "GATEWAY_STATE_DIR": ("state", None, "/x", Path("/x")),
    "GATEWAY_PLUGINS": ("plugins", "", "a,b", "a,b"),
    "GATEWAY_DISABLED_PLUGINS": ("disabled_plugins", "", "c", "c"),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_variable_has_its_default_and_does_what_it_says(name):
    field, default, written, value = DEFAULTS[name]
    assert getattr(read_environment({}), field) == default
    assert getattr(read_environment({name: written}), field) == value


def test_no_variable_is_without_a_test():
    assert Environment.keys() == DEFAULTS.keys()


def test_every_variable_is_described():
    assert [name for name, info in Environment.model_fields.items() if not info.description] == []


@pytest.mark.parametrize(
    "name, written",
    [
        ("GATEWAY_AUTH_MODE", "open"),
        ("MCP_GATEWAY_TOOL_CACHE_TTL", "0"),
        ("MCP_GATEWAY_TOOL_CACHE_TTL", "long"),
        ("MCP_GATEWAY_DEFAULT_CONNECTION_MODE", "sticky"),
        ("MCP_GATEWAY_CONNECTION_TIMEOUT", "-1"),
        ("GATEWAY_MAX_RESULTS", "0"),
        ("GATEWAY_CONFIG_RELOAD", "-1"),
        ("GATEWAY_CONFIG_RELOAD", "0.001"),
        ("MCP_GATEWAY_MAX_RETRIES", "1.5"),
        ("MCP_GATEWAY_MAX_RETRIES", "101"),
        ("MCP_GATEWAY_SESSION_IDLE_TIMEOUT", "0"),
        ("GATEWAY_LOG_LEVEL", "loud"),
        ("GATEWAY_LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_its_variable(name, written):
    with pytest.raises(ConfigError, match=f"^environment: {name}: "):
        read_environment({name: written})


@pytest.mark.parametrize(
    "name", ["MCP_GATEWAY_TOOL_CACHE_TTL", "MCP_GATEWAY_CONNECTION_TIMEOUT", "MCP_GATEWAY_SESSION_IDLE_TIMEOUT"]
)
@pytest.mark.parametrize("written", ["nan", "inf", "-inf"])
def test_a_number_of_seconds_is_a_real_one(name, written):
    with pytest.raises(ConfigError, match=name):
        read_environment({name: written})


def test_all_wrong_variables_are_named_at_once():
    with pytest.raises(ConfigError, match=r"MCP_GATEWAY_TOOL_CACHE_TTL.*; GATEWAY_LOG_LEVEL"):
        read_environment({"GATEWAY_LOG_LEVEL": "loud", "MCP_GATEWAY_TOOL_CACHE_TTL": "x"})


@pytest.mark.parametrize(
    "name, kind",
    [("GATEWAY_TRANSPORT", "server transport"), ("STORAGE_BACKEND", "storage backend"), ("GATEWAY_RANKER", "ranker")],
)
def test_the_error_for_an_unknown_plugin_lists_those_there_are(name, kind):
    with pytest.raises(PluginError, match=f"^environment: {name}: no {kind} is called 'zebra'; installed: "):
        read_settings({name: "zebra"}, providers_of(everything()))


def test_a_wrong_option_of_the_plugin_that_is_chosen_is_named():
    with pytest.raises(ConfigError, match=r"^environment: GATEWAY_PORT: it must be 65535 or less"):
        read_settings({"GATEWAY_TRANSPORT": "http", "GATEWAY_PORT": "70000"}, providers_of(everything()))


def test_a_wrong_option_of_a_plugin_that_is_not_chosen_is_no_matter():
    settings = read_settings({"GATEWAY_PORT": "70000"}, providers_of(everything()))
    assert (settings.server_transport.name, settings.storage.name) == ("stdio", "memory")


def test_every_ranker_is_settled_since_one_search_may_ask_for_any():
    assert sorted(read_settings({}, providers_of(everything())).rankers) == ["bm25", "regex"]


def test_which_plugins_load_is_a_list_with_commas():
    choice = plugin_choice({"GATEWAY_PLUGINS": " a, b,,", "GATEWAY_DISABLED_PLUGINS": "c"})
    assert (choice.only, choice.disabled) == ({"a", "b"}, {"c"})
    assert plugin_choice({}).admits("anything")


@pytest.mark.parametrize("name", [name for name in DEFAULTS if name.endswith("_TIMEOUT") and "SESSION" not in name])
def test_a_timeout_that_may_be_meant_in_milliseconds_is_a_warning(name):
    said = f"environment: {name}: 30000 seconds are 8.3 hours; is it meant in milliseconds?"
    assert warn_unknown_variables({name: "30000"}, providers_of(everything())) == [said]
    assert warn_unknown_variables({name: "3600"}, providers_of(everything())) == []


def test_an_unknown_variable_is_reported_with_the_nearest():
    strays = warn_unknown_variables(
        {"GATEWAY_RANKR": "x", "GATEWAY_SOMETHING_ELSE_ALTOGETHER": "x", "GATEWAY_PORT": "80", "PATH": "x"},
        providers_of(everything()),
    )
    assert strays == [
        "environment: nobody reads GATEWAY_RANKR; did you mean 'GATEWAY_RANKER'?",
        "environment: nobody reads GATEWAY_SOMETHING_ELSE_ALTOGETHER",
    ]
