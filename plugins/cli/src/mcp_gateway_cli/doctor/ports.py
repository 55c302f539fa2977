"""Findings on the address at which the gateway is to listen."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from mcp_gateway.control.context import ControlContext
from mcp_gateway_cli.doctor.finding import Finding, remark, report_error
from mcp_gateway_cli.doctor.processes import is_gateway, read_command

_LISTEN = "0A"
"""The state of a listening socket in /proc/net/tcp."""


def find_address_faults(context: ControlContext) -> list[Finding]:
    """Return why the gateway could not listen at its address."""
    endpoints = context.settings.server_transport.endpoints
    options = context.providers.server_transports[context.settings.server_transport.name].options
    if endpoints is None:
        return []
    chosen = options.model_validate(context.environ)
    host, port = getattr(chosen, "host", ""), getattr(chosen, "port", 0)
    if not port:
        first = next(iter(endpoints()), "")
        host, port = urlsplit(first).hostname or "", urlsplit(first).port or 0
    return list(check_address(host, port)) if port else []


def check_address(host: str, port: int) -> Iterator[Finding]:
    """Yield the reason why nothing can listen at an address."""
    subject = f"{host}:{port}"
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            if os.name == "posix":  # as a server sets it: connections that have just ended do not count
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        yield _describe_error(subject, port, error)


def _describe_error(subject: str, port: int, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        return _describe_owner(subject, port)
    if error.errno == errno.EACCES:
        mend = "take a port of 1024 or more: GATEWAY_PORT"
        return report_error("port-forbidden", subject, "this user may not listen at this port", mend)
    reason = error.strerror or "it is no address of this machine"
    mend = "correct GATEWAY_HOST: 127.0.0.1 for this machine only, 0.0.0.0 for all of its addresses"
    return report_error("address-unusable", subject, f"the gateway cannot listen there: {reason}", mend)


def _describe_owner(subject: str, port: int) -> Finding:
    owner = find_listener(port)
    if owner is None:
        mend = f"find it: lsof -i :{port} (as its user or root); stop it, or take another port: GATEWAY_PORT"
        return report_error("port-taken", subject, "another process listens there already", mend)
    pid, command = owner
    if is_gateway(command):
        return remark("gateway-runs", subject, f"a gateway listens there already: process {pid}")
    name = Path(command[0]).name if command else "unknown"
    mend = "stop it, or take another port: GATEWAY_PORT"
    return report_error("port-taken", subject, f"process {pid} ({name}) listens there already", mend)


def find_listener(port: int) -> tuple[int, list[str]] | None:
    """Return process and command line of who listens at a port.

    None where /proc does not tell: on other systems than Linux, and of another user's process.
    """
    inodes = {f"socket:[{inode}]" for inode in _find_inodes(port)}
    for folder in Path("/proc").glob("[0-9]*/fd") if inodes else ():
        with suppress(OSError):
            if any(str(link.readlink()) in inodes for link in folder.iterdir()):
                pid = int(folder.parent.name)
                return pid, read_command(pid)
    return None


def _find_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
