"""Files that are written whole or not at all: on a full disk, by a process that is killed, by several at once."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from mcp_gateway.pinning.store import FiledPins, open_pin_store
from mcp_gateway.plugin import StorageError, write_file
from mcp_gateway.plugin.utilities.atomic_files import remove_unfinished

from ..support.fake_plugins import MemoryStorage

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="by the means of POSIX")

TINY_DISK = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs "$1" && shift && exec "$@"', "sh"]


def run(code, *arguments, wrapped=()):
    """Run Python in a process of its own; return what it prints."""
    command = [*wrapped, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def tiny_disk(tmp_path_factory):
    """Return what runs a command with a real disk of 64 KiB at a folder, where this machine permits it."""
    folder = tmp_path_factory.mktemp("disk")
    probe = [*TINY_DISK, str(folder), "true"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    return folder, [*TINY_DISK, str(folder)]


FULL = """
    import os, sys
    from pathlib import Path
    from mcp_gateway.plugin import StorageError, write_file
    folder = Path(sys.argv[1])
    write_file(folder / "a.json", [b"old"])
    for _ in range(3):
        try:
            write_file(folder / "a.json", (b"x" * 1000 for _ in range(1000)))
        except StorageError as error:
            print(error)
    print((folder / "a.json").read_text(), sorted(os.listdir(folder)))
    write_file(folder / "a.json", [b"new"])
    print((folder / "a.json").read_text(), sorted(os.listdir(folder)))
"""


def test_a_full_disk_is_said_with_the_file_which_stays_as_it_was_and_nothing_is_left_behind(tiny_disk):
    folder, wrapped = tiny_disk
    said = run(FULL, folder, wrapped=wrapped)
    assert said == [f"{folder}/a.json cannot be written: the disk is full (No space left on device)"] * 3 + [
        "old ['a.json']",
        "new ['a.json']",
    ]


def test_a_limit_of_the_process_is_as_good_as_a_full_disk(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
    said = run(limit + textwrap.dedent(FULL), tmp_path)
    reason = f"{tmp_path}/a.json cannot be written: a file may not grow so large here (File too large)"
    assert said == [reason] * 3 + ["old ['a.json']", "new ['a.json']"]


def test_pins_on_a_full_disk_say_so_and_stay(tiny_disk):
    folder, wrapped = tiny_disk
    code = """
        import asyncio, os, sys
        from pathlib import Path
        from mcp_gateway.pinning.pins import Pin
        from mcp_gateway.pinning.store import FiledPins
        from mcp_gateway.plugin import StorageError
        shelf = FiledPins(Path(sys.argv[1]))
        few, many = {"a": Pin(("1",), {"x": "y"})}, {str(n): Pin(("1",), {"x": "y" * 1000}) for n in range(1000)}
        async def main():
            await shelf.save("a:1", few)
            try:
                await shelf.save("a:1", many)
            except StorageError as error:
                print(error)
            print(await shelf.load("a:1") == few, os.listdir(shelf.pins))
        asyncio.run(main())
    """
    said = run(code, folder, wrapped=wrapped)
    full = f"{folder}/pins/a-1.json cannot be written: the disk is full (No space left on device)"
    assert said == [f"{full}; make room, or set GATEWAY_STATE_DIR", "True ['a-1.json']"]


def test_what_is_written_fails_for_any_reason_and_nothing_is_left_behind(tmp_path):
    def parts():
        yield b"x"
        raise KeyError

    write_file(tmp_path / "a.json", [b"old"])
    with pytest.raises(KeyError):
        write_file(tmp_path / "a.json", parts())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.json": b"old"}


def killed_in_the_middle(folder):
    """Have a process write, and kill it before it has done."""
    code = """
        import sys, time
        from pathlib import Path
        from mcp_gateway.plugin import write_file
        def parts():
            yield b"x" * 100_000
            print("begun", flush=True)
            time.sleep(60)
        write_file(Path(sys.argv[1]) / "a.json", parts())
    """
    popen = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(folder)], stdout=subprocess.PIPE)
    try:
        assert popen.stdout.readline() == b"begun\n"
        yield popen
    finally:
        popen.send_signal(signal.SIGKILL)
        popen.wait(60)
        popen.stdout.close()


def test_what_a_killed_process_has_left_goes_with_the_next_write_and_what_is_being_written_stays(tmp_path):
    for _ in killed_in_the_middle(tmp_path):
        assert len(list(tmp_path.glob("*.new"))) == 1
        write_file(tmp_path / "b.json", [b"b"])
        remove_unfinished(tmp_path)
        assert len(list(tmp_path.glob("*.new"))) == 1, "somebody is writing it"
    assert len(list(tmp_path.glob("*.new"))) == 1
    write_file(tmp_path / "b.json", [b"b"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.json"]


def test_what_is_left_goes_when_the_gateway_starts_whatever_it_is_called(tmp_path):
    pins = FiledPins(tmp_path).pins
    for _ in killed_in_the_middle(pins):
        pass
    (pins / "alpha-f00x1y2.new").write_bytes(b"of an older version")
    assert len(list(pins.iterdir())) == 2
    open_pin_store(MemoryStorage(), tmp_path)
    assert list(pins.iterdir()) == []


def test_a_pipe_that_is_called_like_what_is_left_is_waited_for_by_nobody(tmp_path):
    code = """
        import os, sys
        from pathlib import Path
        from mcp_gateway.plugin import write_file
        folder = Path(sys.argv[1])
        os.mkfifo(folder / "pins.json.x.new")
        write_file(folder / "pins.json", [b"whole"])
        print((folder / "pins.json").read_text())
    """
    assert run(code, tmp_path) == ["whole"]


def test_a_file_is_its_owners_only_and_so_is_the_folder(tmp_path):
    write_file(tmp_path / "made" / "a.json", [b"x", b"y"])
    assert (tmp_path / "made" / "a.json").read_bytes() == b"xy"
    assert (tmp_path / "made" / "a.json").stat().st_mode & 0o077 == 0
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0


def test_a_file_that_is_not_to_be_replaced_is_not(tmp_path):
    write_file(tmp_path / "key", [b"first"], replace=False)
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "key", [b"second"], replace=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"key": b"first"}


def test_a_folder_that_is_a_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "f").write_bytes(b"")
    for replace in (True, False):
        with pytest.raises(StorageError, match=r"f/a\.json cannot be written: "):
            write_file(tmp_path / "f" / "a.json", [b""], replace=replace)


def test_many_processes_write_one_file_and_it_is_always_whole(tmp_path):
    code = """
        import sys
        from pathlib import Path
        from mcp_gateway.plugin import write_file
        for number in range(100):
            write_file(Path(sys.argv[1]) / "a.json", [sys.argv[2].encode() * 10_000])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    writers = [subprocess.Popen([*command, letter]) for letter in "abc"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if (tmp_path / "a.json").exists():
            content = (tmp_path / "a.json").read_bytes()
            assert len(content) == 10_000
            seen |= {*content}
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert seen <= {*b"abc"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
