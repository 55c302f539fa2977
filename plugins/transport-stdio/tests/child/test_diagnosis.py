"""Why a command cannot be started, or could not be by a program with windows."""

from __future__ import annotations

import sys

import pytest
from mcp_gateway_transport_stdio import diagnose_command, login_shell
from mcp_gateway_transport_stdio.child import diagnosis
from mcp_gateway_transport_stdio.options import StdioOptions


@pytest.fixture(autouse=True)
def _own_places(monkeypatch, tmp_path):
    """Search in two folders only, and ask a shell that reads a profile of the test's."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(diagnosis, "_WINDOWED_PATH", "/usr/bin:/bin")
    login_shell.read_login_path.cache_clear()
    yield
    login_shell.read_login_path.cache_clear()


def write_program(path, first="#!/bin/sh"):
    path.write_text(f"{first}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


async def find(**options):
    return await diagnose_command(StdioOptions(**options))


async def test_a_command_that_is_not_there_is_named_with_the_path_that_was_searched(anyio_backend, tmp_path):
    (found,) = await find(command="no-such-server")
    assert (found.code, found.is_error) == ("command-not-found", True)
    assert found.message.startswith("its command 'no-such-server' is not found; searched: ")
    assert f"PATH={tmp_path / 'bin'}:/usr/bin:/bin" in found.message
    assert "install it" in found.mend


async def test_a_folder_of_both_paths_is_named_once(anyio_backend, tmp_path):
    (tmp_path / ".profile").write_text(f'PATH="/usr/bin:{tmp_path / "more"}:/bin"; export PATH\n', encoding="utf-8")
    (found,) = await find(command="no-such-server")
    assert found.message.endswith(f"; of the PATH of your login shell also {tmp_path / 'more'}")


@pytest.mark.parametrize("program, mend", [("npx", "nodejs.org"), ("uvx", "docs.astral.sh"), ("docker", "docker.com")])
async def test_a_runtime_that_is_missing_comes_with_how_to_get_it(anyio_backend, tmp_path, program, mend):
    (found,) = await find(command=program, env={"PATH": str(tmp_path / "bin")})
    assert found.code == "runtime-missing"
    assert mend in found.mend


async def test_a_script_for_a_runtime_that_is_missing_says_which(anyio_backend, tmp_path):
    script = write_program(tmp_path / "server", "#!/usr/bin/env node")
    (found,) = await find(command=str(script), env={"PATH": str(tmp_path / "bin")})
    assert (found.code, "a script for node, which is not found" in found.message) == ("runtime-missing", True)


async def test_a_file_that_may_not_be_run_says_so(anyio_backend, tmp_path):
    (tmp_path / "server").write_text("#!/bin/sh\n", encoding="utf-8")
    (found,) = await find(command=str(tmp_path / "server"))
    assert (found.code, "chmod +x" in found.mend) == ("command-unusable", True)


async def test_a_folder_that_is_missing_says_so(anyio_backend, tmp_path):
    (found,) = await find(command="/bin/sh", cwd=tmp_path / "gone")
    assert (found.code, found.message) == ("folder-missing", "its cwd is not a directory")


async def test_a_command_that_only_this_terminal_finds_is_a_warning(anyio_backend, tmp_path):
    write_program(tmp_path / "bin" / "my-server")
    (found,) = await find(command="my-server")
    assert (found.code, found.is_error) == ("command-only-here", False)
    assert str(tmp_path / "bin" / "my-server") in found.mend


async def test_a_command_that_the_login_shell_finds_is_well(anyio_backend, tmp_path):
    write_program(tmp_path / "bin" / "my-server")
    (tmp_path / ".profile").write_text(f'PATH="{tmp_path / "bin"}:$PATH"; export PATH\n', encoding="utf-8")
    assert await find(command="my-server") == []


async def test_a_command_of_the_system_is_well(anyio_backend, tmp_path):
    assert await find(command="sh") == []
    assert await find(command=str(write_program(tmp_path / "server", "#!/usr/bin/env sh"))) == []
