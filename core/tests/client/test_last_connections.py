"""How servers were last reached: what is kept of it, where, and for how long."""

from __future__ import annotations

import json
import time

import pytest

from mcp_gateway.client.fallback.last_connections import FOLDER, KEPT_SECONDS, LastConnection, LastConnections

from ..support.gateway import spec

ALPHA = spec("alpha", fingerprint="f1")
SSE = LastConnection("sse")


def files(state):
    return sorted((state / FOLDER).glob("*")) if (state / FOLDER).exists() else []


async def record(connections, server=ALPHA, **how):
    """Record and save, as the session pool does."""
    if connections.record(server, **how):
        await connections.save(server)


async def test_what_was_found_out_is_there_after_a_restart(tmp_path):
    before = LastConnections.load(tmp_path)
    await record(before, transport="sse")
    await record(before, spec("beta", fingerprint="f2"), initialize_first=True)
    after = LastConnections.load(tmp_path)
    assert after.find(ALPHA) == SSE
    assert after.find(spec("beta", fingerprint="f2")) == LastConnection("", initialize_first=True)


async def test_another_endpoint_of_the_same_name_is_another_server(tmp_path):
    await record(LastConnections.load(tmp_path), transport="sse")
    assert LastConnections.load(tmp_path).find(spec("alpha", fingerprint="other")) == LastConnection()


async def test_a_server_that_is_reached_in_the_usual_way_leaves_no_file(tmp_path):
    connections = LastConnections.load(tmp_path)
    await record(connections, transport="", initialize_first=False)
    assert files(tmp_path) == []
    await record(connections, transport="sse")
    await record(connections, initialize_first=False)
    assert len(files(tmp_path)) == 1
    await record(connections, transport="")
    assert files(tmp_path) == []
    assert LastConnections.load(tmp_path).find(ALPHA) == LastConnection()


async def test_it_is_written_once(tmp_path):
    connections = LastConnections.load(tmp_path)
    assert connections.record(ALPHA, transport="sse")
    await connections.save(ALPHA)
    assert not connections.record(ALPHA, transport="sse", initialize_first=False)


@pytest.mark.parametrize("later", [KEPT_SECONDS + 1, -KEPT_SECONDS - 1], ids=["long ago", "clock set back"])
async def test_after_a_week_the_usual_way_is_tried_again(tmp_path, monkeypatch, later):
    await record(LastConnections.load(tmp_path), transport="sse")
    now = time.time() + later
    monkeypatch.setattr(time, "time", lambda: now)
    for connections in (LastConnections.load(tmp_path), LastConnections.load(tmp_path)):
        assert connections.find(ALPHA) == LastConnection()
        await record(connections, transport="sse")
    assert LastConnections.load(tmp_path).find(ALPHA) == SSE
    assert json.loads(files(tmp_path)[0].read_text())["since"] == now


async def test_what_was_not_found_again_is_forgotten(tmp_path, monkeypatch):
    await record(LastConnections.load(tmp_path), transport="sse")
    now = time.time() + KEPT_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: now)
    await record(LastConnections.load(tmp_path), initialize_first=False)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "written", ["", "{", "[1]", "[" * 100_000, '{"transport": 1, "initialize_first": 1, "since": 0}']
)
async def test_an_unreadable_file_is_as_if_it_were_not_there(tmp_path, written):
    await record(LastConnections.load(tmp_path), transport="sse")
    (file,) = files(tmp_path)
    file.write_text(written)
    connections = LastConnections.load(tmp_path)
    assert connections.find(ALPHA) == LastConnection()
    await record(connections, transport="sse")
    assert LastConnections.load(tmp_path).find(ALPHA) == SSE


async def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path):
    (tmp_path / FOLDER).write_text("a file in its place")
    connections = LastConnections.load(tmp_path)
    await record(connections, transport="sse")
    assert connections.find(ALPHA) == SSE


async def test_only_this_user_can_read_it_and_it_names_no_server(tmp_path):
    await record(LastConnections.load(tmp_path), transport="sse")
    (file,) = files(tmp_path)
    assert file.stat().st_mode & 0o077 == 0
    assert "alpha" not in file.name + file.read_text()


async def test_without_a_folder_it_is_kept_in_memory():
    connections = LastConnections()
    await record(connections, transport="sse")
    assert connections.find(ALPHA) == SSE
