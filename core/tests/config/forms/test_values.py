"""Values as other programs write them, and paths as they mean them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_gateway.config.forms.paths import folder_of, settle_surroundings
from mcp_gateway.config.forms.transports import with_transport
from mcp_gateway.config.forms.values import (
    UnclearValue,
    read_arguments,
    read_duration,
    read_headers,
    read_variables,
    to_text,
)
from mcp_gateway.plugin import ConfigError


@pytest.mark.parametrize(
    "value, text",
    [
        (8080, "8080"),
        (1.0, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ([1], "[1]"),
        ({"x": "ü"}, '{"x":"ü"}'),
    ],
)
def test_a_scalar_is_written_as_other_programs_do(value, text):
    assert to_text(value) == text


def test_variables_lose_nulls_and_comments_and_keep_what_is_structured_as_json():
    warnings = []
    env = {"A": 1, "B": True, "C": None, "D": 1.5, "E": [1], "// why": "x", "_comment": "y", "F": ""}
    assert read_variables(env, warnings) == {"A": "1", "B": "true", "D": "1.5", "E": "[1]", "F": ""}
    assert warnings == ["env.E is no text; it is passed on as JSON"]
    assert read_variables(["A=b=c", {"name": "D", "value": 1}], warnings) == {"A": "b=c", "D": "1"}


def test_arguments_are_text():
    warnings = []
    assert read_arguments(["-p", 8080, True, None, 0.5], warnings) == ["-p", "8080", "true", "0.5"]
    assert read_arguments("-y 'a b' c", warnings) == ["-y", "a b", "c"]
    assert warnings == ["its args are one text; they are taken apart at spaces"]
    with pytest.raises(UnclearValue, match="args: it must be a list"):
        read_arguments("'a", warnings)


@pytest.mark.parametrize(
    "headers",
    [
        {"A": "b", "C": "1"},
        ["A: b", "C:1"],
        [{"name": "A", "value": "b"}, {"name": "C", "value": 1}],
        [{"key": "A", "value": "b"}, {"C": 1}],
        [["A", "b"], ["C", "1"]],
        "A: b\r\nC: 1\n",
        {"A": ["b"], "C": 1, "//": "why", "D": None},
    ],
)
def test_headers_have_many_forms(headers):
    assert read_headers(headers) == {"A": "b", "C": "1"}


@pytest.mark.parametrize("headers", [5, ["A"], [": b"], [{"name": "A"}, 3], [{"a": 1, "b": 2}]])
def test_headers_in_no_form_say_what_is_right_and_not_what_they_are(headers):
    with pytest.raises(UnclearValue, match="headers: write"):
        read_headers(headers)


@pytest.mark.parametrize(
    "value, unit, seconds",
    [
        (30_000, 0.001, 30),
        (60, 1, 60),
        ("45", 1, 45),
        ("1500ms", 1, 1.5),
        ("2m", 0.001, 120),
        ("1 hour", 1, 3600),
        (0.1, 1, 0.1),
    ],
)
def test_a_duration_has_the_unit_of_its_program_or_its_own(value, unit, seconds):
    assert read_duration(value, unit) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [0, -1, True, None, "soon", [], 10**400, float("inf")])
def test_what_is_no_duration_is_none(value):
    with pytest.raises(UnclearValue, match="it "):
        read_duration(value, 0.001)


# -- paths


def test_paths_begin_in_the_folder_of_the_file(tmp_path):
    keys = {"command": "./run", "cwd": "work", "args": ["./a", "b"], "env": {"A": "x"}}
    assert settle_surroundings(keys, tmp_path, {}) == {
        "command": f"{tmp_path}/run",
        "cwd": f"{tmp_path}/work",
        "args": ["./a", "b"],
        "env": {"A": "x"},
    }
    assert settle_surroundings({"command": "npx"}, tmp_path, {}) == {"command": "npx"}
    assert settle_surroundings({"command": "/bin/x", "cwd": "/y"}, tmp_path, {}) == {"command": "/bin/x", "cwd": "/y"}


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = {"command": "~/run", "cwd": "~", "args": ["~/a", "a~", "~b"], "env": {"A": "~/x"}}
    assert settle_surroundings(keys, Path("/there"), {}) == {
        "command": f"{tmp_path}/run",
        "cwd": f"{tmp_path}",
        "args": [f"{tmp_path}/a", "a~", "~b"],
        "env": {"A": f"{tmp_path}/x"},
    }


@pytest.mark.parametrize("folder", [".vscode", ".cursor", ".roo", ".gemini", ".kiro/settings"])
def test_paths_of_a_program_that_has_a_folder_in_the_project_begin_in_the_project(tmp_path, folder):
    path = tmp_path / folder / "mcp.json"
    assert folder_of(path, foreign=True) == tmp_path
    assert folder_of(path, foreign=False) == path.parent


def test_an_env_file_gives_variables_that_the_entry_may_replace(tmp_path):
    (tmp_path / ".env").write_text("# mine\nA=file\nexport B='b c'\nC=${HOME}\n\nD\n", encoding="utf-8")
    keys = settle_surroundings({"command": "x", "envFile": ".env", "env": {"A": "entry"}}, tmp_path, {})
    assert keys == {"command": "x", "env": {"A": "entry", "B": "b c", "C": "${HOME}"}}


@pytest.mark.parametrize("name", ["gone.env", ".", "", 5])
def test_an_env_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match=r"^envFile: "):
        settle_surroundings({"envFile": name}, tmp_path, {})


def test_variables_and_headers_may_be_named_and_are_taken_if_they_are_set(tmp_path):
    environ = {"TOKEN": "t", "GATEWAY_AUTH_TOKEN": "secret"}
    keys = {"env_vars": ["TOKEN", {"name": "TOKEN"}, "GONE", "GATEWAY_AUTH_TOKEN"]}
    assert settle_surroundings(keys, tmp_path, environ) == {"env": {"TOKEN": "t"}}
    keys = {"env_http_headers": {"X-Key": "TOKEN", "Y": "GONE", "Z": "GATEWAY_AUTH_TOKEN"}, "auth_headers": {"A": "b"}}
    found = settle_surroundings(keys, tmp_path, environ)
    assert found == {"auth_headers": {"A": "b", "X-Key": "t"}, "auth_type": "static"}


@pytest.mark.parametrize("spelling", ["sse", "SSE", "http+sse", "http-sse"])
def test_every_spelling_of_the_old_transport_means_it(spelling):
    assert with_transport({"type": spelling, "url": "http://old.test/sse"})["transport"] == "sse"
