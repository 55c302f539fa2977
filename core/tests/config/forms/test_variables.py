"""Variables in the server file: every form expands everywhere, and what cannot expand says its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcp_gateway.config.forms.variables import InputAnswers, InputQuestion, Unset, Variables


def expand(value, environ):
    return Variables(environ).expand(value)


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


@pytest.mark.parametrize("written", ["${command:x}", "${workspaceFolder:x}", "${}", "${a b}", "${1ST}"])
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
    with pytest.raises(Unset, match=r"\$\{command:api-key\} is not"):
        expand(["x", {"y": "${command:api-key}"}], ENVIRON)


# -- what editors define


def test_what_editors_define_is_known_and_the_environment_can_override_it(tmp_path):
    found = Variables({"workspaceRoot": "there"}, tmp_path)
    assert found.expand("${workspaceFolder}/a${pathSeparator}b") == f"{tmp_path}/a{os.sep}b"
    assert found.expand("${workspaceFolderBasename} ${workspaceRoot}") == f"{tmp_path.name} there"
    assert found.expand("${userHome}${/}") == f"{Path.home()}{os.sep}"


def test_the_working_directory_is_no_workspace(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Variables({}, tmp_path).expand("${workspaceFolder} ${cwd}") == f"{tmp_path} {tmp_path}"


def test_a_file_is_read_without_white_space_around_it(tmp_path):
    (tmp_path / "token").write_text(" t0k\n", encoding="utf-8")
    assert Variables({}, tmp_path).expand("Bearer ${file:token}") == "Bearer t0k"
    with pytest.raises(Unset, match=r"\$\{file:gone\}: there is no such file"):
        Variables({}, tmp_path).expand("${file:gone}")


@pytest.mark.parametrize("name", ["INPUT_GH_KEY", "gh-key", "GH_KEY"])
def test_an_input_may_come_from_the_environment(name):
    assert expand("${input:gh-key}", {name: "k3y"}) == "k3y"


def test_what_every_shell_sets_is_no_answer_to_an_input():
    with pytest.raises(Unset, match="it wants the input 'user'; set INPUT_USER, or start it once in a terminal"):
        expand("${input:user}", {"USER": "me", "PATH": "x"})


def test_an_input_is_asked_for_once_in_a_process():
    asked = []

    def ask(question):
        asked.append(question)
        return "typed"

    questions = {"key": InputQuestion("key", "The key", is_secret=True)}
    for _ in range(2):
        found = Variables({}, questions=questions, answers=(answers := InputAnswers(ask)))
        assert found.expand(["${input:key}", "${input:key}"]) == ["typed", "typed"]
        answers.ask = None
        assert found.expand("${input:key}") == "typed"
    assert asked == [questions["key"]] * 2
    assert "typed" not in repr(found)


def test_an_input_without_an_answer_has_its_default():
    found = Variables({}, questions={"key": InputQuestion("key", default="usual")})
    assert found.expand("${input:key}") == "usual"


def test_the_gateways_own_secrets_answer_no_input():
    with pytest.raises(Unset, match="the gateway's own secret"):
        expand("${input:gateway-auth-token}", {"GATEWAY_AUTH_TOKEN": "t"})
