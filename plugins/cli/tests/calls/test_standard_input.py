"""What `call` makes of a standard input that nobody has spoken of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.tests.support.fake_servers import tool
from mcp_gateway.protocol.implementation import NAME

from ..conftest import _quiet, run

__all__ = ["_quiet", "run"]

NOTE = f"note: standard input is read by: {NAME} call alpha__{{}} -\n"
NEEDY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture
def alpha(servers, remote):
    remote.tools = [tool("free"), {**tool("needy"), "inputSchema": NEEDY}]
    servers({"name": "alpha", "transport": "memory", "max_retries": 0})
    return remote


@pytest.fixture
def give_file(tmp_path, monkeypatch):
    """Put a file on standard input, with some bytes read by others."""
    opened = []

    def give(text, read=0):
        path = tmp_path / "given"
        path.write_text(text, encoding="utf-8")
        opened.append(path.open(encoding="utf-8"))
        os.lseek(opened[-1].fileno(), read, os.SEEK_SET)
        monkeypatch.setattr("sys.stdin", opened[-1])

    yield give
    for one in opened:
        one.close()


@pytest.fixture
def give_pipe(monkeypatch):
    """Put a pipe on standard input, which its writer may hold open."""
    ends = []

    def give(data, is_open):
        reader, writer = os.pipe()
        os.write(writer, data)
        ends.append(os.fdopen(reader))
        if is_open:
            ends.append(os.fdopen(writer, "wb"))
        else:
            os.close(writer)
        monkeypatch.setattr("sys.stdin", ends[0])

    yield give
    for one in ends:
        one.close()


def sent(remote):
    return [call.get("arguments") for call in remote.calls]


ROME = '{"city": "Rome"}'
FILES = {
    "unasked": ((ROME, 0), "", {"city": "Rome"}),
    "asked": ((ROME, 0), "-", {"city": "Rome"}),
    "pairs": ((ROME, 0), "city=Bonn", {"city": "Bonn"}),
    "object": ((ROME, 0), "{}", {}),
    "of a loop": ((f"first line\n{ROME}", 11), "", {}),
    "empty": (("", 0), "", {}),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_is_read_if_it_was_given_to_this_command_and_nothing_else_was(run, alpha, give_file, case):
    file, words, arguments = FILES[case]
    give_file(*file)
    code, _, err = run("call", "alpha__free", "--no-check", *words.split())
    assert (code, sent(alpha)) == (0, [arguments]), err


def test_a_file_that_holds_no_arguments_is_named(run, alpha, give_file):
    give_file("Rome\n")
    code, out, err = run("call", "alpha__free")
    assert (code, out, sent(alpha)) == (2, "", [])
    assert "the arguments are not JSON: Expecting value at character 0" in err
    assert "; they came from the file on standard input (see" in err


@pytest.mark.parametrize(
    "pipe, said",
    [((b"{}", False), NOTE), ((b"{}", True), NOTE), ((b"", True), ""), ((b"", False), "")],
    ids=["ended", "open", "silent", "empty"],
)
def test_a_pipe_is_not_read_unasked_but_said(run, alpha, give_pipe, pipe, said):
    give_pipe(*pipe)
    assert run("call", "alpha__free") == (0, "done\n", said.format("free"))
    assert sent(alpha) == [{}]
    code, _, err = run("call", "alpha__needy")
    assert (code, len(sent(alpha))) == (2, 1)
    assert (f"; standard input is read by: {NAME} call alpha__needy -)" in err) is bool(said)
    assert run("call", "alpha__needy", "city=Rome") == (0, "done\n", "")


def test_no_input_is_no_question(run, alpha, monkeypatch):
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        for given in (nothing, None):
            monkeypatch.setattr("sys.stdin", given)
            assert run("call", "alpha__free") == (0, "done\n", "")
    assert sent(alpha) == [{}, {}]
