"""Variables in the server file: every form expands everywhere, and what cannot expand says its name."""

from __future__ import annotations

import os

import pytest

from mcp_gateway.config.interpolation import Unset, expand

ENVIRON = {"TOKEN": "t0k", "EMPTY": "", "NESTED": "${TOKEN}", "SHELL_LIKE": "a$b"}


@pytest.mark.parametrize(
    "written, expanded",
    [
        ("${TOKEN}", "t0k"),
        ("Bearer ${TOKEN}!", "Bearer t0k!"),
        ("${TOKEN}${TOKEN}", "t0kt0k"),
        ("${env:TOKEN}", "t0k"),
        ("${TOKEN:-other}", "t0k"),
        ("${MISSING:-other}", "other"),
        ("${env:MISSING:-other}", "other"),
        ("${MISSING:-}", ""),
        ("${MISSING:-a:-b c}", "a:-b c"),
        ("${EMPTY}", ""),
        ("${EMPTY:-other}", "other"),
        ("$${TOKEN}", "${TOKEN}"),
        ("$TOKEN and $5", "$TOKEN and $5"),
        ("{TOKEN} ${", "{TOKEN} ${"),
        ("${NESTED}", "${TOKEN}"),
        ("${SHELL_LIKE}", "a$b"),
        ("", ""),
    ],
)
def test_a_string_expands(written, expanded):
    assert expand(written, ENVIRON) == expanded


def test_strings_expand_however_deep_they_lie_and_all_else_stays():
    value = {"args": ["--token", "${TOKEN}", 3, None, True], "env": {"${TOKEN}": {"deep": "${TOKEN}"}}, "n": 2**70}
    assert expand(value, ENVIRON) == {
        "args": ["--token", "t0k", 3, None, True],
        "env": {"${TOKEN}": {"deep": "t0k"}},
        "n": 2**70,
    }


@pytest.mark.parametrize("written", ["${MISSING}", "${env:MISSING}", "a ${TOKEN} ${MISSING}"])
def test_a_variable_that_is_not_set_is_named(written):
    with pytest.raises(Unset, match="the environment variable MISSING is not set"):
        expand(written, ENVIRON)


@pytest.mark.parametrize("written", ["${input:api-key}", "${workspaceFolder:x}", "${}", "${a b}", "${1ST}"])
def test_a_variable_that_only_an_editor_can_fill_in_says_so(written):
    with pytest.raises(Unset, match="not a variable that the gateway can expand; write"):
        expand(written, ENVIRON)


def test_on_windows_case_makes_no_difference(monkeypatch):
    monkeypatch.setattr(os, "name", "nt")
    assert expand("${env:AppData}", {"APPDATA": "there"}) == "there"
    assert expand("${mine}", {"mine": "from a file"}) == "from a file"
    with pytest.raises(Unset, match="the gateway's own secret"):
        expand("${gateway_auth_token}", {"GATEWAY_AUTH_TOKEN": "t"})


def test_a_variable_that_only_an_editor_can_fill_in_is_named():
    with pytest.raises(Unset, match=r"\$\{input:api-key\} is not"):
        expand(["x", {"y": "${input:api-key}"}], ENVIRON)
