"""Supervisor of the gateway's servers.

It is the parent of all servers and the reaper of what they
leave behind, so that it finds all that they have started; and it ends all of that when the gateway is gone, however
the gateway has ended.

On the inherited socket comes, for each server, one byte with four descriptors: a connection and the standard streams.
On that connection come and go lines of JSON:

    -> {"command": ["..."], "environment": {"...": "..."}, "directory": null}   start it
    <- {"pid": 1}, or {"errno": 2, "in_directory": false}
    -> {"end": [0.5, 1.0]}   end it: seconds until SIGTERM, and from there until SIGKILL; again: sooner
    <- {"status": 3}   its process has ended: the exit status, or less than 0: a signal
    <- {"gone": true}   nothing of it is left

The end of the connection ends the server, too.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any

from .processes import Process, find_ancestor, has_group, read_processes, read_tag
from .server import SET_CHILD_SUBREAPER, SET_DUMPABLE, Server, call_prctl, start_process

_LEFT_SECONDS = (0.1, 0.25)
"""How long servers may take after their input has ended, and after SIGTERM, once the gateway is gone."""

# Polled, because there is no notification when the last process of a group ends.
_LOOK_SECONDS = 0.02
_PIECE = 64 << 10


class Supervisor:
    """The servers of one gateway."""

    def __init__(self, control: socket.socket) -> None:
        """Take servers from `control`."""
        self._control = control
        self._servers: dict[int, Server] = {}
        self._is_left = False
        self._woken, waking = socket.socketpair()
        for one in (control, self._woken, waking):
            one.settimeout(0)
        self._waking = waking
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def run(self) -> None:
        """Supervise until the gateway and all servers are gone."""
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        # Handlers that do nothing, where SIG_IGN would be inherited by servers.
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        while not self._is_left or self._servers:
            is_ending = any(server.is_ending for server in self._servers.values())
            for descriptor, _ in self._poll.poll(_LOOK_SECONDS * 1000 if is_ending else None):
                self._on_readable(descriptor)
            self._reap()
            self._advance()

    def _on_readable(self, descriptor: int) -> None:
        if descriptor == self._woken.fileno():
            with suppress(BlockingIOError):
                self._woken.recv(_PIECE)
        elif descriptor == self._control.fileno():
            self._receive_server()
        elif descriptor in self._servers:
            self._receive_lines(self._servers[descriptor])

    def _receive_server(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 1, 4)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # noqa: FBT003  # of the standard library
        if not data:
            self._poll.unregister(self._control)
            self._is_left = True
            self._end_rest()
        elif len(descriptors) == 4:  # noqa: PLR2004  # see the module's docstring
            connection = socket.socket(fileno=descriptors[0])
            connection.settimeout(0)
            self._servers[descriptors[0]] = Server(connection, descriptors[1:])
            self._poll.register(descriptors[0], select.POLLIN)

    def _end_rest(self) -> None:
        """End what belongs to no server."""
        rest = Server(None, [])
        rest.end(*_LEFT_SECONDS)
        self._servers[-1] = rest

    def _receive_lines(self, server: Server) -> None:
        connection = server.connection
        if connection is None:
            return
        try:
            data = connection.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, server.received = (server.received + data).split(b"\n")
        for line in lines:
            self._on_message(server, json.loads(line))
        if not data:
            self._poll.unregister(connection)
            server.end(*_LEFT_SECONDS)

    def _on_message(self, server: Server, message: dict[str, Any]) -> None:
        if "end" in message:
            server.end(*message["end"])
            return
        try:
            server.pid = start_process(message, server)
        except OSError as error:
            server.send(errno=error.errno, in_directory=error.filename == "directory")
            server.end(0, 0)
        else:
            server.send(pid=server.pid)
        for descriptor in server.streams:
            os.close(descriptor)
        server.streams = []

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                for server in self._servers.values():
                    if server.pid == ended[0] and not server.has_exited:
                        server.has_exited = True
                        server.send(status=os.waitstatus_to_exitcode(ended[1]))

    def _advance(self) -> None:
        """Carry on with the servers that are to end."""
        now = time.monotonic()
        due = [(key, server) for key, server in self._servers.items() if server.is_due(now)]
        members = self._find_members() if due else {}
        for key, server in due:
            if server.advance(members.get(key, set()), now) and (server.connection or len(self._servers) == 1):
                self._remove(key)

    def _remove(self, key: int) -> None:
        """Forget a server of which nothing is left."""
        server = self._servers.pop(key)
        server.send(gone=True)
        for descriptor in server.streams:
            os.close(descriptor)
        if server.connection is not None:
            with suppress(KeyError):  # it ended before
                self._poll.unregister(server.connection)
            server.connection.close()

    def _find_members(self) -> dict[int, set[int]]:
        """Return the processes of each server; under -1 those of none."""
        processes = read_processes()
        if processes is None:
            return {key: {-server.pid} for key, server in self._servers.items() if has_group(server.pid)}
        found: dict[int, set[int]] = {}
        for pid in processes:
            # Only what descends from here: any other process that has an id of ours got it anew.
            if (ancestor := find_ancestor(pid, os.getpid(), processes)) is not None:
                found.setdefault(self._find_owner(ancestor, processes[ancestor]), set()).add(pid)
        return found

    def _find_owner(self, pid: int, process: Process) -> int:
        """Return the key of the server of a child process."""
        ids = {pid, process.group, process.session}
        for key, server in self._servers.items():
            if server.pid and server.pid in ids:
                return key
        tag = read_tag(pid)
        return next((key for key, server in self._servers.items() if server.tag == tag), -1)


def run(descriptor: int) -> None:
    """Supervise what comes on a socket; end the process then."""
    os.set_inheritable(descriptor, False)  # noqa: FBT003  # of the standard library
    call_prctl(SET_CHILD_SUBREAPER, 1)
    call_prctl(SET_DUMPABLE, 0)  # it hears of the servers' secrets
    Supervisor(socket.socket(fileno=descriptor)).run()
    os._exit(0)  # at once: there is nothing to tidy up
