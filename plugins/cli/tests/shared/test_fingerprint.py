"""Which windows share a gateway."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from mcp_gateway_cli.shared.fingerprint import VOLATILE, compute_fingerprint

PAGE = Path(__file__).parents[4] / "core" / "docs" / "working-directory.md"
ENVIRONMENT = {"PATH": "/bin", "HOME": "/home/ada", "GATEWAY_SHARED": "1"}


@pytest.fixture
def fingerprint(tmp_path):
    def compute(environ=ENVIRONMENT, folder=tmp_path, **more):
        return compute_fingerprint({**environ, **more}, folder, tmp_path / "state")

    return compute


def test_what_names_a_window_and_how_sharing_is_switched_on_make_no_difference(fingerprint):
    named = dict.fromkeys(VOLATILE, "another")
    assert fingerprint(named | ENVIRONMENT) == fingerprint(GATEWAY_SHARED="yes") == fingerprint()
    assert re.fullmatch("[0-9a-f]{16}", fingerprint())


@pytest.mark.parametrize(
    "more", [{"PATH": "/usr/bin"}, {"API_KEY": "x"}, {"GATEWAY_SHARED_IDLE": "5"}, {"SERVER_CONFIG_PATH": "/x.json"}]
)
def test_another_environment_is_another_gateway(fingerprint, more):
    assert fingerprint(**more) != fingerprint()


def test_another_folder_or_program_is_another_gateway(fingerprint, tmp_path, monkeypatch):
    first = fingerprint()
    assert fingerprint(folder=tmp_path.parent) != first
    monkeypatch.setattr(sys, "executable", "/another/python")
    assert fingerprint() != first


def test_another_version_is_another_gateway(fingerprint, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    before = fingerprint()
    (tmp_path / "mcp_gateway_core-9.9.dist-info").mkdir()
    assert fingerprint() != before


@pytest.mark.parametrize(
    "variables, name",
    [
        ({}, "server_config.json"),
        ({"SERVER_CONFIG_PATH": "servers.json"}, ".env"),
        ({"GATEWAY_ENV_FILE": "my.env"}, "my.env"),
    ],
)
def test_a_file_that_is_read_at_the_start_only_counts_with_its_content(fingerprint, tmp_path, variables, name):
    before = fingerprint(**variables)
    (tmp_path / name).write_text("A=1")
    created = fingerprint(**variables)
    (tmp_path / name).write_text("A=22")
    assert len({before, created, fingerprint(**variables)}) == 3


def test_a_followed_file_of_servers_does_not_count_with_its_content(fingerprint, tmp_path):
    named = {"SERVER_CONFIG_PATH": str(tmp_path / "servers.json")}
    before = fingerprint(**named)
    (tmp_path / "servers.json").write_text("{}")
    assert fingerprint(**named) == before


def test_the_page_names_every_variable_that_does_not_count():
    section = PAGE.read_text(encoding="utf-8").split("## One gateway for all windows")[1]
    listed = section.split("do not count:")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == VOLATILE
