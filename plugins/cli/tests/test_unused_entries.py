"""Every verb says the same of an entry that cannot be used, and other words of one that is switched off."""

from __future__ import annotations

import pytest

BROKEN = {
    "bad": ({"name": "bad", "args": []}, 'it needs "command"'),
    "alpha": ({"name": "alpha", "transport": "memory"}, "another server has the same name"),
    "entry-3": ({"transport": "memory"}, 'it is number 3 in "servers" and has no name'),
}
LISTING = ("check", "doctor", "list", "servers --start", "tools", "search echo")


@pytest.fixture(params=BROKEN)
def broken(request, servers):
    """Configure a server that works, one that is switched off, and an entry that cannot be used."""
    entry, reason = BROKEN[request.param]
    servers({"name": "alpha", "transport": "memory"}, {"name": "off", "transport": "memory", "enabled": False}, entry)
    return request.param, reason


@pytest.mark.parametrize("verb", LISTING)
def test_a_verb_says_that_it_is_not_used_and_why(run, broken, verb):
    name, reason = broken
    _, out, err = run(*verb.split())
    lines = [line for line in (out + err).splitlines() if reason in line]
    assert len(lines) == 1, out + err
    assert (name in lines[0], "not used" in lines[0], "disabled" in out + err) == (True, True, False), lines


@pytest.mark.parametrize("verb", ["tools off", "call off__echo", "approve off"])
def test_one_that_is_switched_off_is_disabled(run, broken, verb):
    assert "'off' is disabled: \"enabled\" is false" in run(*verb.split())[2]


@pytest.mark.parametrize("verb", ["tools", "approve"])
def test_one_that_is_named_is_not_used(run, servers, verb):
    servers(BROKEN["bad"][0])
    assert f"'bad' is not used: {BROKEN['bad'][1]}" in run(verb, "bad")[2]
