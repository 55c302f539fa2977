"""The session bus, which a program that starts the gateway may not name."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from mcp_gateway.plugin import name_session_bus
from mcp_gateway.plugin.utilities import session_bus

ADDRESS = "DBUS_SESSION_BUS_ADDRESS"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have none")
def test_the_session_bus_is_named_where_a_program_does_not_hand_it_on(tmp_path, monkeypatch):
    monkeypatch.setattr(session_bus, "_RUNTIME_FOLDERS", tmp_path)
    monkeypatch.setenv(ADDRESS, "")  # so that it is put back
    monkeypatch.delenv(ADDRESS)
    name_session_bus()
    assert ADDRESS not in os.environ
    folder = tmp_path / str(os.getuid())
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as bus:
        monkeypatch.chdir(folder)  # the path of a socket must be short
        bus.bind("bus")
    name_session_bus()
    assert os.environ[ADDRESS] == f"unix:path={folder / 'bus'}"
    monkeypatch.setenv(ADDRESS, "unix:path=/mine")
    name_session_bus()
    assert os.environ[ADDRESS] == "unix:path=/mine"
