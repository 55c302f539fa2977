"""Which time limit a server has, which setting it is from, and what an error says about it."""

from __future__ import annotations

import pytest

from mcp_gateway.config.time_limits import TimeKeys, TimeSettings, settle_time_limits

OWN = {"start": 'its "start_timeout"', "list": 'its "list_timeout"', "call": 'its "call_timeout"'}
EVERY = {"start": "GATEWAY_START_TIMEOUT", "list": "GATEWAY_LIST_TIMEOUT", "call": "GATEWAY_CALL_TIMEOUT"}
COMMON, ENTRY, TOTAL = "MCP_GATEWAY_CONNECTION_TIMEOUT", 'its "timeout"', "MCP_GATEWAY_MAX_CALL_TIME"
KINDS = ("start", "list", "call")


def settle(environ=None, **keys):
    return settle_time_limits(TimeKeys.model_validate(keys), TimeSettings.model_validate(environ or {}))


def table(limits):
    return {kind: (getattr(limits, kind).seconds, getattr(limits, kind).setting) for kind in KINDS}


def test_each_has_a_default_of_its_own():
    defaults = {"start": (180, EVERY["start"]), "list": (60, EVERY["list"]), "call": (600, EVERY["call"])}
    assert table(settle()) == defaults
    assert settle().max_call_time == 3600


@pytest.mark.parametrize("seconds", [5, 7200], ids=["shorter", "longer"])
def test_the_common_variable_bounds_each_that_is_not_set(seconds):
    environ = {COMMON: str(seconds)}
    assert table(settle(environ)) == dict.fromkeys(KINDS, (seconds, COMMON))
    for kind in KINDS:
        specific = {**environ, EVERY[kind]: "9"}
        assert table(settle(specific)) == {**dict.fromkeys(KINDS, (seconds, COMMON)), kind: (9, EVERY[kind])}


def test_a_servers_timeout_bounds_each_that_is_not_set_for_it():
    environ = {COMMON: "5", EVERY["start"]: "6", EVERY["call"]: "7"}
    assert table(settle(environ, timeout=3)) == dict.fromkeys(KINDS, (3, ENTRY))
    for kind in KINDS:
        keys = {"timeout": 3, f"{kind}_timeout": 9}
        assert table(settle(environ, **keys)) == {**dict.fromkeys(KINDS, (3, ENTRY)), kind: (9, OWN[kind])}


def test_a_servers_own_limit_leaves_the_others_to_the_variables():
    assert table(settle({EVERY["list"]: "6"}, call_timeout=9)) == {
        "start": (180, EVERY["start"]),
        "list": (6, EVERY["list"]),
        "call": (9, OWN["call"]),
    }


def test_the_total_of_calls_bounds_the_silence_of_a_call_only_where_it_is_set():
    environ = {TOTAL: "5"}
    assert (table(settle(environ))["call"], settle(environ).max_call_time) == ((5, TOTAL), 5)
    assert (table(settle(environ, timeout=90))["call"], settle(environ, timeout=90).max_call_time) == ((90, ENTRY), 90)
    own = settle(environ, call_timeout=90, max_call_time=7)
    assert (table(own)["call"], own.max_call_time) == ((7, 'its "max_call_time"'), 7)
    assert table(own)["list"] == (60, EVERY["list"]), "only calls"
    patient = settle({COMMON: "7200"})
    assert (table(patient)["call"], patient.max_call_time) == ((7200, COMMON), 7200), "the default total bounds nothing"


@pytest.mark.parametrize(
    "environ, keys, said",
    [
        ({}, {}, '600 s (GATEWAY_CALL_TIMEOUT); raise that, or set its "call_timeout", if it needs longer'),
        ({}, {"call_timeout": 0.5}, '0.5 s (its "call_timeout"); raise that if it needs longer'),
        ({}, {"timeout": 2}, '2 s (its "timeout"); raise that, or set its "call_timeout", if it needs longer'),
        (
            {COMMON: "3"},
            {},
            '3 s (MCP_GATEWAY_CONNECTION_TIMEOUT); set its "call_timeout" or GATEWAY_CALL_TIMEOUT if it needs longer',
        ),
        (
            {TOTAL: "5"},
            {},
            '5 s (MCP_GATEWAY_MAX_CALL_TIME); raise that, or set its "max_call_time", if it needs longer',
        ),
        ({}, {"max_call_time": 5}, '5 s (its "max_call_time"); raise that if it needs longer'),
    ],
    ids=["default", "own", "entry", "common", "total of all", "own total"],
)
def test_an_error_names_the_limit_and_the_setting_that_helps(environ, keys, said):
    limit = settle(environ, **keys).call
    assert f"{limit}; {limit.hint}" == said
