"""A program that is no MCP server, or none that can be started: the error says which it is, and shows what it wrote."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest
from mcp_gateway_transport_stdio import mcp_gateway_client_transports
from mcp_gateway_transport_stdio.child.command import explain_failed_start

from mcp_gateway.client.connection import open_connection
from mcp_gateway.client.handshake import negotiate
from mcp_gateway.plugin import Credentials, ServerUnavailable
from mcp_gateway_testkit import session

(PROVIDER,) = mcp_gateway_client_transports()
SECONDS = 30
SECRET = "s3cr3t-s3cr3t"
WRITE = "import os, sys; os.write(1, bytes.fromhex(sys.argv[1]))"
READ = "; sys.stdin.readline()"

STRAY = {
    "a header of LSP": (
        b"Content-Length: 59\r\n\r\n{}",
        "'Content-Length: 59' (the header of a message of a language server: it speaks another protocol)",
    ),
    "the log of uvicorn": (
        b"INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)\n",
        (
            "'INFO: Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)' (the log of an HTTP server: if it "
            'serves MCP there, write that URL as "url", in place of "command")'
        ),
    ),
    "the log of express": (
        b"Server listening on port 3000\n",
        "'Server listening on port 3000' (the log of an HTTP server",
    ),
    "an access log": (b'127.0.0.1 - "GET /sse HTTP/1.1" 200\n', "'127.0.0.1 - \"GET /sse HTTP/1.1\" 200' (HTTP)"),
    "a response of HTTP": (b"HTTP/1.1 400 Bad Request\r\n", "'HTTP/1.1 400 Bad Request' (HTTP)"),
    "a web page": (b"<!DOCTYPE html><html>\n", "(HTML or XML)"),
    "help": (b"usage: thing [-h] {serve,run}\n", "'usage: thing [-h] {serve,run}' (a help text: are its args right?)"),
    "JSON": (
        b'{"level": "info", "msg": "up"}\n',
        '\'{"level": "info", "msg": "up"}\' (JSON, but no message of JSON-RPC)',
    ),
    "JSON over several lines": (
        b'{\n  "level": "info"\n}\n',
        "first '{' (JSON over several lines: a message must be one line, without indentation)",
    ),
    "a spinner without an end": (b"\rworking |\rworking /", "'working | working /' (a display for a terminal"),
    "a spinner in Unicode": (
        "⠋ installing\n".encode(),
        "'⠋ installing' (a display for a terminal, with control codes)",
    ),
    "ANSI": (b"\x1b[2J\x1b[1;32mWelcome\x1b[0m\x1b]0;title\x07\n", "'Welcome' (a display for a terminal"),
    "a prompt": (b"Password: ", "'Password:' (a prompt: it waits for a person)"),
    "binary data": (b"\x00\x01\x02abc\n", "'abc' (binary data)"),
    "a banner": (
        b"Welcome!\n\n\nto this\n",
        "it wrote 2 lines to standard output that are no MCP messages, first 'Welcome!'",
    ),
    "a secret": (f"key {SECRET}\n".encode(), "'key ***'"),
    "a long line": (b"x" * 9000 + b"\n", f"first '{'x' * 200}'"),
}


async def explain(code: str, *words: str, **source: object) -> tuple[BaseException, str]:
    """Start a program that is no server; return the error and its notes."""
    entry = {"command": sys.executable, "args": ["-c", code, *words], "env": {"API_KEY": SECRET}, **source}
    with anyio.fail_after(SECONDS), pytest.raises((ServerUnavailable, BaseExceptionGroup)) as caught:
        async with PROVIDER.bind(entry).open() as transport, session(transport.connect(Credentials())):
            pass
    return caught.value, "; ".join(getattr(caught.value, "__notes__", ()))


@pytest.mark.parametrize("case", STRAY)
@pytest.mark.parametrize("end", ["", READ], ids=["exits", "reads first"])
async def test_what_is_no_message_is_shown_and_said_to_be_what_it_looks_like(case: str, end: str) -> None:
    written, words = STRAY[case]
    _, notes = await explain(WRITE + end, written.hex())
    assert words in notes
    assert SECRET not in notes
    assert "\x1b" not in notes


async def test_what_was_written_is_known_when_a_start_has_taken_too_long(tmp_path: Path) -> None:
    entry = {"command": sys.executable, "args": ["-c", f"{WRITE}; sys.stdin.read()", b"Loading ...".hex()]}
    heard: list[str] = []
    async with PROVIDER.bind(entry).open() as transport:
        with anyio.move_on_after(3):
            try:
                async with session(transport.connect(Credentials())):
                    pass
            except anyio.get_cancelled_exc_class() as error:
                heard += getattr(error, "__notes__", ())
                raise
    assert heard == ["it wrote 1 line to standard output that is no MCP message, first 'Loading ...'"]


def leaf_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def test_a_language_server_is_not_waited_for() -> None:
    error, _ = await explain(f"{WRITE}; sys.stdin.read()", b"Content-Length: 2\r\n\r\n{}".hex())
    assert str(leaf_of(error)) == "it speaks another protocol than MCP"
    assert leaf_of(error).permanent


async def test_a_program_that_repeats_what_it_hears_is_not_waited_for() -> None:
    error, _ = await explain("import sys; [print(line, end='', flush=True) for line in sys.stdin]")
    assert str(leaf_of(error)) == "it sends back what it is sent, so it is no MCP server"
    assert leaf_of(error).permanent


ANSWER = """\
import json, sys
for number, line in enumerate(sys.stdin):
    asked = json.loads(line).get("id")
    if asked is not None:
        found = {"jsonrpc": "2.0", "id": IDS, "error": {"code": -32601, "message": "no"}}
        print(json.dumps(found, indent=INDENT), flush=True)
"""


async def test_a_server_that_indents_its_messages_is_not_waited_for() -> None:
    error, notes = await explain(ANSWER.replace("IDS", "asked").replace("INDENT", "2"))
    assert str(leaf_of(error)) == "it writes its messages over several lines"
    assert leaf_of(error).permanent
    assert "JSON over several lines" in notes


async def test_a_server_that_answers_everything_with_one_id_is_not_waited_for() -> None:
    entry = {"command": sys.executable, "args": ["-c", ANSWER.replace("IDS", "0").replace("INDENT", "None")]}
    with anyio.fail_after(SECONDS), pytest.raises((ServerUnavailable, BaseExceptionGroup)) as caught:
        async with (
            PROVIDER.bind(entry).open() as transport,
            open_connection(transport.connect(Credentials())) as connection,
        ):
            await negotiate(connection)  # as the gateway does, by two requests
    assert str(leaf_of(caught.value)) == "it answers every request with the id 0, in place of the request's own"
    assert leaf_of(caught.value).permanent


STALE = """\
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    for id in (990, 991, asked.get("id")):
        if asked.get("method") == "initialize":
            info = {"name": "stale", "version": "1"}
            result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": info}
            print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)
"""


async def test_a_server_that_first_answers_what_was_asked_before_is_waited_for() -> None:
    entry = {"command": sys.executable, "args": ["-c", STALE]}
    with anyio.fail_after(SECONDS):
        async with PROVIDER.bind(entry).open() as transport, session(transport.connect(Credentials())):
            pass


@pytest.mark.parametrize(
    "code, words",
    [
        ("raise SystemExit(0)", "its process ended with exit status 0"),
        (
            "import sys; sys.exit('no key')",
            "its process ended with exit status 1; it last wrote to standard error: no key",
        ),
        ("import os; os.kill(os.getpid(), 9)", "its process was ended by the signal SIGKILL"),
        ("import os; os.kill(os.getpid(), 11)", "its process was ended by the signal SIGSEGV"),
    ],
)
async def test_how_a_process_has_ended_is_said(code: str, words: str) -> None:
    _, notes = await explain(f"import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); {code}")
    assert words in notes


def write_file(path: Path, content: str = "", mode: int = 0o755) -> str:
    path.write_text(content)
    path.chmod(mode)
    return str(path)


async def test_what_cannot_be_started_is_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    plain = write_file(tmp_path / "plain.py", "print()", 0o644)
    cases = {
        plain: f"its command {plain!r} is not executable; run 'chmod +x {plain}', or set command to its interpreter",
        str(folder): f"its command {str(folder)!r} is a folder; write the path of a program",
        "no-such": "its command 'no-such' is not found; install it",
        "no-such --flag": "put what comes after its name into args",
        "C:\\Program Files\\nodejs\\npx.cmd": "is a path of Windows, and this is another system",
        write_file(tmp_path / "bare", "echo"): "it is no program of this system, and no script whose first line says",
        write_file(
            tmp_path / "lost", "#!/no/such/python -u\n"
        ): "to run it with '/no/such/python -u', which is not found",
    }
    for command, words in cases.items():
        error, _ = await explain("", command=command)
        assert words in str(error)
        assert error.permanent
    for command in (plain, str(folder), "no-such"):
        assert cases[command] in PROVIDER.bind({"command": command}).preflight()


async def test_a_file_on_the_path_that_is_not_executable_is_named(tmp_path: Path) -> None:
    write_file(tmp_path / "own-server", "#!/bin/sh\n", 0o644)
    error, _ = await explain("", command="own-server", env={"PATH": f"{tmp_path}{os.pathsep}/nowhere"})
    assert f"run 'chmod +x {tmp_path / 'own-server'}'" in str(error)


async def test_too_many_arguments_are_said_to_be_too_long() -> None:
    error, _ = await explain("", *["x" * 100_000] * 50)
    assert "cannot be started: its args and env are too long for this system" in str(error)


def test_other_reasons_are_the_systems_own() -> None:
    assert (
        explain_failed_start("x", "/x", OSError(13, "Permission denied")) == "'x' cannot be started: Permission denied"
    )
    assert explain_failed_start("x", "/x", OSError(2, "No such file", "its cwd")).endswith("its cwd: No such file")
