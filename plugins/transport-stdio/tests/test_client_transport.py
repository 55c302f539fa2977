import json
import logging
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway_transport_stdio import mcp_gateway_client_transports
from mcp_gateway_transport_stdio.child.stderr import capture_stderr
from mcp_gateway_transport_stdio.options import StdioOptions
from pydantic import ValidationError

from mcp_gateway.plugin import Credentials, ServerUnavailable
from mcp_gateway_testkit import Session, session

(PROVIDER,) = mcp_gateway_client_transports()
REFERENCE = {"command": sys.executable, "args": ["-m", "mcp_gateway_testkit.reference"]}
SECONDS = 30


@asynccontextmanager
async def open_child(**source: Any) -> AsyncIterator[Session]:
    """Start a server as its entry says, and shake hands with it."""
    with anyio.fail_after(SECONDS):
        async with PROVIDER.bind(source).open() as transport, session(transport.connect(Credentials())) as opened:
            yield opened


async def evaluate_in_child(tmp_path: Path, expression: str, **source: Any) -> Any:
    """Start a child that evaluates a Python expression and ends; return the value."""
    out = tmp_path / "out.json"
    code = f"import json, os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(json.dumps({expression}))"
    with pytest.raises(BaseExceptionGroup):
        async with open_child(**{"command": sys.executable, "args": ["-c", code, str(out)], **source}):
            pass
    return json.loads(out.read_text())


async def test_a_child_gets_a_minimal_environment_and_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWAY_AUTH_TOKEN", "s3cr3t")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    environment = await evaluate_in_child(tmp_path, "dict(os.environ)", env={"API_KEY": "its own"})
    assert "GATEWAY_AUTH_TOKEN" not in environment
    assert environment["API_KEY"] == "its own"
    assert environment["LC_ALL"] == "C.UTF-8"
    assert environment["PATH"] == os.environ["PATH"]


async def test_a_childs_own_variables_win(tmp_path):
    assert await evaluate_in_child(tmp_path, "os.environ['HOME']", env={"HOME": "/elsewhere"}) == "/elsewhere"


async def test_arguments_arrive_as_they_are(tmp_path):
    out = tmp_path / "out.json"
    words = ["", "two words", "$HOME", "*", "a'b\"c", "ü"]
    code = f"import json, sys; json.dump(sys.argv[1:], open({str(out)!r}, 'w'))"
    with pytest.raises(BaseExceptionGroup):
        async with open_child(command=sys.executable, args=["-c", code, *words]):
            pass
    assert json.loads(out.read_text()) == words


async def test_a_child_runs_in_its_directory(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    assert await evaluate_in_child(tmp_path, "os.getcwd()", cwd=str(home)) == str(home)


async def test_a_directory_that_is_not_there_is_a_lasting_failure(tmp_path):
    with pytest.raises(ServerUnavailable, match="cwd") as caught:
        async with open_child(**REFERENCE, cwd=str(tmp_path / "missing")):
            pass
    assert caught.value.permanent


async def test_a_command_with_its_arguments_in_it_is_told_where_these_go():
    with pytest.raises(ServerUnavailable, match="put what comes after its name into args"):
        async with open_child(command="no-such-command --flag"):
            pass


async def test_a_command_that_is_not_found_is_a_lasting_failure():
    with pytest.raises(ServerUnavailable, match=r"'no-such-command'.*install it") as caught:
        async with open_child(command="no-such-command"):
            pass
    assert caught.value.permanent


async def test_a_file_that_cannot_be_run_is_a_lasting_failure(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(ServerUnavailable, match="cannot be started") as caught:
        async with open_child(command=str(script)):
            pass
    assert caught.value.permanent


async def test_a_command_is_found_on_the_childs_own_path(tmp_path):
    script = tmp_path / "own-server"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mcp_gateway_testkit.reference\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    async with open_child(command="own-server", env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}) as opened:
        assert await opened.text("echo", say="found") == "found"


async def test_a_command_is_found_beside_the_gateways_own_python():
    name = Path(sys.executable).name
    async with open_child(command=name, args=REFERENCE["args"], env={"PATH": "/nowhere"}) as opened:
        assert await opened.text("echo", say="found") == "found"


async def test_a_child_that_dies_leaves_its_last_words_with_the_error():
    code = "import sys\nfor n in range(9): print('line', n, file=sys.stderr)\nsys.exit('no API key')"
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_child(command=sys.executable, args=["-c", code]):
            pass
    notes = " ".join(getattr(caught.value, "__notes__", []))
    assert "line 5 | line 6 | line 7 | line 8 | no API key" in notes
    assert "line 4" not in notes


async def test_a_child_that_is_killed_closes_its_session():
    async with open_child(**REFERENCE) as opened:
        os.kill(int(await opened.text("process")), 9)
        with pytest.raises(ServerUnavailable, match="closed the connection"):
            await opened.text("echo", say="anyone?")


async def test_no_process_is_left_behind():
    async with open_child(**REFERENCE) as opened:
        process = int(await opened.text("process"))
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


async def test_no_process_is_left_behind_by_a_cancelled_session():
    processes: list[int] = []
    async with anyio.create_task_group() as tasks:

        async def hold() -> None:
            async with open_child(**REFERENCE) as opened:
                processes.append(int(await opened.text("process")))
                tasks.cancel_scope.cancel()
                await anyio.sleep_forever()

        tasks.start_soon(hold)
    with pytest.raises(ProcessLookupError):
        os.kill(processes[0], 0)


async def test_what_is_no_json_on_standard_output_is_skipped():
    code = (
        "print('Welcome!', flush=True); import runpy; runpy.run_module('mcp_gateway_testkit.reference', {}, '__main__')"
    )
    async with open_child(command=sys.executable, args=["-c", code]) as opened:
        assert await opened.text("echo", say="hi") == "hi"


async def test_what_a_child_writes_to_standard_error_is_logged(caplog):
    code = "import sys, runpy; print('hello log', file=sys.stderr, flush=True)\n"
    code += "runpy.run_module('mcp_gateway_testkit.reference', {}, '__main__')"
    with caplog.at_level(logging.DEBUG, "mcp_gateway.server_output"):
        async with open_child(command=sys.executable, args=["-c", code]) as opened:
            await opened.text("echo", say="hi")
    assert "hello log" in [record.line for record in caplog.records if record.getMessage() == "server stderr"]


async def test_credentials_make_no_difference():
    async with PROVIDER.bind(REFERENCE).open() as transport:
        assert transport.carries_credentials is False
        with anyio.fail_after(SECONDS):
            async with session(transport.connect(Credentials.of({"Authorization": "Bearer x"}))) as opened:
                assert await opened.text("echo", say="hi") == "hi"


def test_a_url_is_a_program_where_there_is_no_command():
    assert PROVIDER.options.model_validate({"url": "uvx"}).program == "uvx"
    assert PROVIDER.options.model_validate({"url": "uvx", "command": "npx"}).program == "npx"


def test_there_must_be_a_program():
    with pytest.raises(ValidationError, match="command"):
        PROVIDER.bind({"args": ["s3cr3t"]})


def test_what_is_missing_here_is_told_without_starting_anything(tmp_path):
    here = {"command": sys.executable, "cwd": str(tmp_path)}
    assert PROVIDER.bind(here).preflight() is None
    assert "its command 'no-such' is not found" in PROVIDER.bind({**here, "command": "no-such"}).preflight()
    assert PROVIDER.bind({**here, "cwd": str(tmp_path / "gone")}).preflight() == "its cwd is not a directory"
    there = {"command": "mine", "env": {"PATH": str(tmp_path)}}
    assert "is not found" in PROVIDER.bind(there).preflight()
    (tmp_path / "mine").touch(0o755)
    assert PROVIDER.bind(there).preflight() is None


@pytest.mark.parametrize("entry", [{"command": "C:\new\tool"}, {"command": "x", "cwd": "C:\temp"}])
def test_a_path_of_windows_that_json_has_taken_for_something_else_is_refused(entry):
    with pytest.raises(ValidationError, match="is a backslash not written twice"):
        PROVIDER.bind(entry)


def test_an_address_is_no_program():
    with pytest.raises(ValidationError, match='"transport": "http"'):
        PROVIDER.bind({"url": "https://example.org/mcp"})


@pytest.mark.parametrize("wrong", [{"args": "s3cr3t"}, {"env": ["s3cr3t"]}, {"env": {"KEY": ["s3cr3t"]}}], ids=str)
def test_wrong_options_are_refused_without_showing_them(wrong):
    with pytest.raises(ValidationError) as caught:
        PROVIDER.bind({"command": "uvx", **wrong})
    assert "s3cr3t" not in str(caught.value)


def test_a_number_in_the_environment_is_taken_as_text():
    options = StdioOptions.model_validate({"command": "x", "env": {"PORT": 8080, "RATE": 1.5}})
    assert options.env == {"PORT": "8080", "RATE": "1.5"}


async def test_what_a_child_was_given_in_confidence_is_masked_in_its_last_words():
    script = "import os, sys; print('no', os.environ['API_KEY'], sys.argv[2], file=sys.stderr); sys.exit(3)"
    options = StdioOptions(
        command=sys.executable, args=["-c", script, "--token", "s3cret-arg"], env={"API_KEY": "s3cret-env"}
    )
    assert set(options.secret_values) == {"s3cret-arg", "s3cret-env"}
    with capture_stderr("child", options.secret_values) as stderr:
        await anyio.run_process(
            [options.program, *options.args], env=dict(options.env), stderr=stderr.file, check=False
        )
    assert stderr.last_lines() == "no *** ***"


def test_what_is_no_secret_is_not_masked():
    options = StdioOptions(command="x", args=["--port", "8080"], env={"MODE": "fast", "DEBUG": "1", "HOME_URL": "/tmp"})
    assert options.secret_values == ()
