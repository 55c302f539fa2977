"""The command in programs' files: it must still be there after an update."""

from __future__ import annotations

import pytest
from mcp_gateway_cli.clients.launch import Installation, find_launch

from mcp_gateway.plugin import ConfigError


def install(folder, name="mcp-gateway"):
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    script = folder / "bin" / name
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return script


@pytest.fixture
def home(tmp_path):
    return tmp_path


def test_the_script_of_an_environment_is_named_by_its_whole_path(home):
    script = install(home / "venv")
    launch = find_launch(Installation(home / "venv", home / "venv" / "bin", "/usr/bin"), {"A": "b"})
    assert (launch.command, launch.arguments, launch.environ) == (str(script), (), {"A": "b"})


def test_a_link_on_the_path_comes_before_the_environment_behind_it(home):
    script = install(home / ".local" / "share" / "uv" / "tools" / "gateway")
    link = home / ".local" / "bin" / "mcp-gateway"
    link.parent.mkdir(parents=True)
    link.symlink_to(script)
    installation = Installation(script.parents[1], script.parent, f"/usr/bin:{link.parent}")
    assert find_launch(installation, {}).command == str(link)


def test_another_installation_on_the_path_does_not_count(home):
    script, other = install(home / "venv"), install(home / "other")
    installation = Installation(home / "venv", script.parent, str(other.parent))
    assert find_launch(installation, {}).command == str(script)


@pytest.mark.parametrize(
    "folder", [".cache/uv/archive-v0/x1", "AppData/Local/uv/cache/environments-v2/y", ".cache/pipx/v"]
)
def test_a_temporary_environment_is_not_named(home, folder):
    (home / folder).mkdir(parents=True, exist_ok=True)
    temporary = (home / folder).resolve()
    script = install(temporary)
    with pytest.raises(ConfigError, match=r"temporary environment, which goes away .* install it"):
        find_launch(Installation(temporary, script.parent, str(script.parent)), {})


def test_in_a_temporary_environment_what_is_installed_is_named(home):
    temporary = home / ".cache" / "uv" / "archive-v0" / "x1"
    script, lasting = install(temporary), install(home / "venv")
    launch = find_launch(Installation(temporary, script.parent, f"{script.parent}:{lasting.parent}"), {})
    assert launch.command == str(lasting)


def test_in_a_temporary_environment_its_source_is_named(home):
    temporary = home / ".cache" / "uv" / "archive-v0" / "x1"
    script, uvx = install(temporary), install(home / ".local", "uvx")
    installation = Installation(temporary, script.parent, f"{script.parent}:{uvx.parent}", "git+https://x/y@v1")
    launch = find_launch(installation, {})
    assert (launch.command, launch.arguments) == (
        str(uvx),
        ("--from", "git+https://x/y@v1", "mcp-orchestration-gateway"),
    )
