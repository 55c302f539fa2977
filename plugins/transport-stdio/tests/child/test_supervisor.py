"""The supervisor starts servers, says how they end, and ends all that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp_gateway_transport_stdio.child.supervised_process import (
    ChildCommand,
    Supervisor,
    describe_status,
    open_process,
)
from mcp_gateway_transport_stdio.child.supervisor.processes import (
    Process,
    find_ancestor,
    has_group,
    read_processes,
    read_tag,
)

SECONDS = 30
IGNORE = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]\n"
WRITE = (
    "import os, sys, time; file = open(sys.argv[1], 'a')\ndef write(): file.write(f'{os.getpid()}\\n'); file.flush()\n"
)
DAEMON = f"""{WRITE}
write()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        write()
        time.sleep(600)
    os._exit(0)
"""
"""A server whose grandchild has lost both its parent and its session."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="without /proc only process groups are found")


def is_alive(pid):
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


async def read_pids(file, count):
    """Wait until so many processes have written down their ids."""
    while not file.exists() or file.read_text().count("\n") < count:  # noqa: ASYNC110  # of another process
        await anyio.sleep(0.01)
    return [int(pid) for pid in file.read_text().split()]


async def wait_until(condition):
    while not condition():  # noqa: ASYNC110  # of other processes
        await anyio.sleep(0.01)


@asynccontextmanager
async def open_python(code, *words, supervisor=None, **environment):
    """Start Python with this code, under a supervisor of its own."""
    supervisor = supervisor or Supervisor()
    command = ChildCommand([sys.executable, "-c", code, *map(str, words)], environment, None, sys.stderr)
    with anyio.fail_after(SECONDS), supervisor.use():
        async with open_process(supervisor, command) as process:
            yield process


@pytest.mark.parametrize(
    "code, status, words",
    [
        ("pass", 0, "its process ended with exit status 0"),
        ("raise SystemExit(3)", 3, "its process ended with exit status 3"),
        ("import os; os.kill(os.getpid(), 15)", -15, "its process was ended by the signal SIGTERM"),
        (
            "import os; os.kill(os.getpid(), 9)",
            -9,
            "its process was ended by the signal SIGKILL, as the system does when memory runs out",
        ),
        ("import os; os.abort()", -6, "its process was ended by the signal SIGABRT"),
    ],
)
async def test_how_a_process_ends_is_known(code, status, words):
    async with open_python(f"import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); {code}") as process:
        await process.exited.wait()
        assert process.status == status
        assert describe_status(status) == words


def test_an_unknown_signal_has_its_number():
    assert describe_status(-250) == "its process was ended by the signal 250"


@pytest.mark.parametrize("ignoring", ["", IGNORE])
async def test_a_cancelled_owner_leaves_no_process(tmp_path, ignoring):
    with anyio.CancelScope() as scope:
        async with open_python(f"{ignoring}{WRITE}\nwrite(); time.sleep(600)", tmp_path / "pids"):
            (pid,) = await read_pids(tmp_path / "pids", 1)
            scope.cancel()
            await anyio.sleep_forever()
    assert not is_alive(pid)


@linux
async def test_what_has_lost_its_parent_and_its_session_ends_with_its_server_alone(tmp_path):
    supervisor = Supervisor()
    async with open_python("import time; time.sleep(600)", supervisor=supervisor) as other:
        async with open_python(f"{DAEMON}\nsys.stdin.read()", tmp_path / "pids", supervisor=supervisor):
            pids = await read_pids(tmp_path / "pids", 2)
            await wait_until(lambda: read_processes()[pids[1]].session not in pids)
        assert [is_alive(pid) for pid in (*pids, other.pid)] == [False, False, True]


@linux
async def test_what_has_cleared_its_environment_too_ends_with_the_gateway(tmp_path):
    code = DAEMON.replace("write()\n        time.sleep(600)", "os.execve('/bin/sleep', ['sleep', '600'], {})")
    script = f"{code}\nfile.write(str(os.getpid()) + '\\n'); file.flush(); sys.stdin.read()"
    async with open_python(script, tmp_path / "pids") as process:
        await read_pids(tmp_path / "pids", 2)
        parent = read_processes()[process.pid].parent
        await wait_until(lambda: find_orphans(parent, process.pid))
        orphans = find_orphans(parent, process.pid)
    await wait_until(lambda: not any(map(is_alive, orphans)))


def find_orphans(parent, but):
    return [pid for pid, each in read_processes().items() if each.parent == parent and pid != but]


@linux
async def test_servers_end_when_the_supervisor_is_killed_and_the_next_gets_another_one(tmp_path):
    supervisor = Supervisor()
    async with open_python(
        f"{IGNORE}{WRITE}\nwrite(); time.sleep(600)", tmp_path / "pids", supervisor=supervisor
    ) as first:
        (pid,) = await read_pids(tmp_path / "pids", 1)
        os.kill(read_processes()[pid].parent, signal.SIGKILL)
        await first.gone.wait()
        await wait_until(lambda: not is_alive(pid))
        async with open_python("raise SystemExit(5)", supervisor=supervisor) as second:
            await second.exited.wait()
            assert second.status == 5


@linux
def test_everything_ends_when_the_gateway_is_killed(tmp_path):
    script = tmp_path / "gateway.py"
    script.write_text(f"""
import anyio, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_supervisor import DAEMON, IGNORE, open_python
async def main():
    async with open_python(IGNORE + DAEMON + "\\ntime.sleep(600)", {str(tmp_path / "pids")!r}):
        await anyio.sleep_forever()
anyio.run(main)
""")
    gateway = subprocess.Popen([sys.executable, script])

    async def kill():
        pids = await read_pids(tmp_path / "pids", 2)
        gateway.kill()
        gateway.wait()
        await wait_until(lambda: not any(map(is_alive, pids)))

    async def run():
        with anyio.fail_after(SECONDS):
            await kill()

    try:
        anyio.run(run)
    finally:
        gateway.kill()


@linux
async def test_a_server_gets_nothing_of_the_supervisors(tmp_path):
    code = f"{WRITE}\nfile.write(' '.join(os.listdir('/proc/self/fd')) + '\\n'); file.flush()"
    code += (
        "\nimport signal; file.write(str(signal.getsignal(signal.SIGTERM)) + str(signal.SIG_DFL) + '\\n'); file.flush()"
    )
    async with open_python(code, tmp_path / "out", MINE="1") as process:
        await process.exited.wait()
    descriptors, handlers = (tmp_path / "out").read_text().splitlines()
    assert {"0", "1", "2"} <= set(descriptors.split())
    assert len(descriptors.split()) <= 5  # the three, its own file, and the folder that it looks into
    assert handlers == f"{signal.SIG_DFL}{signal.SIG_DFL}"


def read_if_permitted(file):
    try:
        return file.read_bytes()
    except PermissionError:
        return b""


@linux
async def test_other_programs_cannot_read_what_the_supervisor_knows():
    async with open_python("import sys; sys.stdin.read()", SECRET="s3cr3t") as process:
        folder = Path(f"/proc/{read_processes()[process.pid].parent}")
        environment, owner = read_if_permitted(folder / "environ"), await anyio.Path(folder / "maps").stat()
        assert b"s3cr3t" not in environment
        assert b"PATH=" not in environment
        assert owner.st_uid == 0  # it is not dumpable


@pytest.mark.parametrize(
    "word, directory, number",
    [("/no/such", None, 2), (__file__, None, 13), (sys.executable, Path("/no/such"), 2), ("nul\0", None, 22)],
)
async def test_what_cannot_be_started_says_why(word, directory, number):
    supervisor = Supervisor()
    with supervisor.use(), pytest.raises(OSError) as caught:  # noqa: PT011  # its number is looked at
        async with open_process(supervisor, ChildCommand([word], {}, directory, sys.stderr)):
            pass
    assert (caught.value.errno, caught.value.filename) == (number, "its cwd" if directory else None)


async def test_words_and_variables_arrive_byte_for_byte(tmp_path):
    code = "import os, sys; open(sys.argv[1], 'wb').write(os.fsencode(sys.argv[2]) + os.environb[b'WORD'])"
    async with open_python(code, tmp_path / "out", "ü\udcff🦊", WORD="\udcfe") as process:
        await process.exited.wait()
    assert (tmp_path / "out").read_bytes() == "ü".encode() + b"\xff" + "🦊".encode() + b"\xfe"


def test_an_ancestor_is_found_below_the_supervisor_only():
    table = {10: Process(5, 10, 10), 11: Process(10, 10, 10), 12: Process(11, 12, 12), 20: Process(1, 20, 20)}
    assert [find_ancestor(pid, 5, table) for pid in (10, 11, 12, 20, 99)] == [10, 10, 10, None, None]


def test_a_group_without_a_process_is_none():
    assert has_group(os.getpgrp())
    assert not has_group(2**22)
    assert read_tag(2**22) is None
